"""A population of runs as one engine process: members train in parallel and the worst periodically copy the best."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.analysis.selection import SEED
from gdlab.search.ranges import Range
from gdlab.training.descent import Run
from gdlab.types import Array, Point, Process

# Separates the random draws of a population from those of its members, which have the same seed.
STREAM = 0x706274
PREFIX = "population."


class Population(NamedTuple):
    """The state of a population, the carry of its process."""

    runs: Run  # every leaf has a leading axis over members
    values: Mapping[str, Array]  # the hyperparameters by name, [member] each


class Change(NamedTuple):
    """Settings of the exchanges between intervals; see `population`."""

    ranges: Mapping[str, Range]
    size: int
    replaced: int  # the number of members replaced at each exchange
    factors: tuple[Any, ...]
    resample: Any

    def numbers(self) -> dict[str, float]:
        """The settings that are inputs of the program, by name; populations can differ in them and share a program."""
        named = {f"{PREFIX}factor.{i}": factor for i, factor in enumerate(self.factors)}
        named[f"{PREFIX}resample"] = self.resample
        for name, place in self.ranges.items():
            named |= {f"{PREFIX}low.{name}": place.low, f"{PREFIX}high.{name}": place.high}
        return named

    def at(self, point: Point) -> "Change":
        """The settings with their numbers (see `numbers`) replaced by those in `point`."""
        return self._replace(
            ranges={
                name: Range(point[f"{PREFIX}low.{name}"], point[f"{PREFIX}high.{name}"], place.scale)
                for name, place in self.ranges.items()
            },
            factors=tuple(point[f"{PREFIX}factor.{i}"] for i in range(len(self.factors))),
            resample=point[f"{PREFIX}resample"],
        )


def evolving(member: Process, change: Change, interval: int) -> Process:
    """The process of a population, from the process of one member. It records every `interval` steps."""
    interval = min(interval, max(member.steps, 1))

    def start(point: Point) -> Population:
        values = _draw(change.at(point), jax.random.fold_in(_key(point), 0))
        return Population(jax.vmap(lambda own: member.start({**point, **own}))(values), values)

    def begin(point: Point, index: Array) -> Any:
        # The batches do not depend on the hyperparameters, so any values in their ranges give the same result.
        own = {name: jnp.asarray(place.low) for name, place in change.at(point).ranges.items()}
        return member.begin({**point, **own}, index)

    def exchange(point: Point, carry: Population, index: Array) -> tuple[Population, dict[str, Array]]:
        alive = jnp.any(carry.runs.alive)
        loss = _finished(member, point, carry)["final_loss"]
        key = jax.random.fold_in(_key(point), index)
        carry, parent = _exchanged(change.at(point), key, carry, loss, alive & (index > 0))
        return carry, {"loss": loss, **carry.values, "parent": parent}

    def step(point: Point, carry: Population, shared: Any, index: Array) -> tuple[Population, Any, dict[str, Array]]:
        shapes = jax.eval_shape(exchange, point, carry, index)[1]
        none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        # The index is the same for all populations, so under vmap this remains a branch.
        carry, record = jax.lax.cond(
            index % interval == 0,
            lambda carry: exchange(point, carry, index),
            lambda carry: (carry, none),
            carry,
        )

        def one(own: Mapping[str, Array], run: Run) -> tuple[Run, Any]:
            after, later, _ = member.step({**point, **own}, run, shared, index)
            return member.check({**point, **own}, run, after, index)[0], later

        # The members are checked here after each step, since an exchange compares them.
        runs, later = jax.vmap(one)(carry.values, carry.runs)
        # The members of a population have the same seed, so they share their batches.
        return carry._replace(runs=runs), jax.tree.map(lambda leaf: leaf[0], later), record

    return Process(
        start=start,
        begin=begin,
        step=step,
        check=lambda point, before, after, index: (after, jnp.asarray(False)),
        status=lambda carry: {
            "alive": jnp.any(carry.runs.alive),
            "diverged": jnp.all(carry.runs.diverged_at >= 0),
        },
        finish=lambda point, carry: _finished(member, point, carry),
        steps=member.steps,
        every=interval,
        names=(SEED,),
        outer=(SEED,),
        fixed={**member.fixed, **change.numbers()},
    )


def _key(point: Point) -> Array:
    return jax.random.fold_in(jax.random.key(point[SEED]), STREAM)


def _draw(change: Change, key: Array) -> dict[str, Array]:
    """Hyperparameters for every member, drawn from their ranges."""
    keys = jax.random.split(key, len(change.ranges))
    return {
        name: jnp.clip(place.at(jax.random.uniform(key, (change.size,))), place.low, place.high)
        for key, (name, place) in zip(keys, change.ranges.items(), strict=True)
    }


def _finished(member: Process, point: Point, carry: Population) -> dict[str, Array]:
    """The outcome of each member at its current step."""
    return jax.vmap(lambda own, run: dict(member.finish({**point, **own}, run)))(carry.values, carry.runs)


def _exchanged(change: Change, key: Array, carry: Population, loss: Array, due: Array) -> tuple[Population, Array]:
    """The population after an exchange (unchanged if `due` is false), and the parent of each member."""
    k_parent, k_factor, k_resample, k_fresh = jax.random.split(key, 4)
    itself = jnp.arange(change.size, dtype=jnp.int32)
    ranked = jnp.argsort(jnp.where(jnp.isnan(loss), jnp.inf, loss)).astype(jnp.int32)
    finite = jnp.sum(jnp.isfinite(loss), dtype=jnp.int32)
    last = ranked[change.size - change.replaced :]
    chosen = jax.random.randint(k_parent, (change.replaced,), 0, jnp.clip(finite, 1, change.replaced))
    parent = jnp.where(due & (finite > 0), itself.at[last].set(ranked[chosen]), itself)
    copied = parent != itself
    inherited = {name: value[parent] for name, value in carry.values.items()}
    fresh, values = _draw(change, k_fresh), {}
    keys = (jax.random.split(k_factor, len(fresh)), jax.random.split(k_resample, len(fresh)))
    for name, factor_key, resample_key in zip(change.ranges, *keys, strict=True):
        place, before = change.ranges[name], inherited[name]
        factors = jnp.stack([jnp.asarray(factor, before.dtype) for factor in change.factors])
        moved = before * factors[jax.random.randint(factor_key, (change.size,), 0, len(change.factors))]
        moved = jnp.clip(moved, place.low, place.high)
        drawn = jax.random.bernoulli(resample_key, change.resample, (change.size,))
        values[name] = jnp.where(copied, jnp.where(drawn, fresh[name], moved), before)
    return Population(jax.tree.map(lambda leaf: leaf[parent], carry.runs), values), parent
