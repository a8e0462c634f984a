"""A population of runs as a process of one lane: side by side, and from time to time the worst copy the best."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.analysis.selection import SEED
from gdlab.search.ranges import Range
from gdlab.training.descent import Run
from gdlab.types import Array, Point, Process

# Keeps what a population draws apart from what its members' runs draw of the same seed.
STREAM = 0x706274
OF = "population."


class Population(NamedTuple):
    """A population under way: the carry of its process."""

    runs: Run  # of the members; every leaf has the members first
    values: Mapping[str, Array]  # their hyperparameters, [member] each


class Change(NamedTuple):
    """How a population changes between intervals; see `population`."""

    ranges: Mapping[str, Range]
    size: int
    replaced: int  # how many members give way at a time
    factors: tuple[Any, ...]
    resample: Any

    def numbers(self) -> dict[str, float]:
        """What another population may have otherwise without being another program."""
        named = {f"{OF}resample": self.resample, **{f"{OF}factor.{i}": factor for i, factor in enumerate(self.factors)}}
        for name, place in self.ranges.items():
            named |= {f"{OF}low.{name}": place.low, f"{OF}high.{name}": place.high}
        return named

    def at(self, point: Point) -> "Change":
        """The same, with the numbers that a point gives."""
        return self._replace(
            ranges={
                name: Range(point[f"{OF}low.{name}"], point[f"{OF}high.{name}"], place.scale)
                for name, place in self.ranges.items()
            },
            factors=tuple(point[f"{OF}factor.{i}"] for i in range(len(self.factors))),
            resample=point[f"{OF}resample"],
        )


def evolving(member: Process, change: Change, interval: int) -> Process:
    """A population as a process of one lane, from the process of one member; its records are `interval` steps apart."""
    interval = min(interval, max(member.steps, 1))

    def start(point: Point) -> Population:
        values = _drawn(change.at(point), jax.random.fold_in(_key(point), 0))
        return Population(jax.vmap(lambda own: member.start({**point, **own}))(values), values)

    def advance(point: Point, carry: Population, first: Array, blocks: int) -> tuple[Population, dict[str, Array]]:
        def block(carry: Population, at: Array) -> tuple[Population, dict[str, Array]]:
            alive = jnp.any(carry.runs.alive)
            loss = _finished(member, point, carry)["final_loss"]
            key = jax.random.fold_in(_key(point), at)
            carry, parent = _exchanged(change.at(point), key, carry, loss, alive & (at > 0))
            record = {"loss": loss, **carry.values}
            record = {name: jnp.where(alive, value, jnp.nan) for name, value in record.items()}
            runs = jax.vmap(lambda own, run: member.advance({**point, **own}, run, at, interval)[0])(
                carry.values, carry.runs
            )
            return carry._replace(runs=runs), record | {"parent": jnp.where(alive, parent, -1)}

        return jax.lax.scan(block, carry, first + interval * jnp.arange(blocks, dtype=jnp.int32))

    return Process(
        start=start,
        advance=advance,
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


def _drawn(change: Change, key: Array) -> dict[str, Array]:
    """Hyperparameters for every member, each from its range."""
    keys = jax.random.split(key, len(change.ranges))
    return {
        name: jnp.clip(place.at(jax.random.uniform(key, (change.size,))), place.low, place.high)
        for key, (name, place) in zip(keys, change.ranges.items(), strict=True)
    }


def _finished(member: Process, point: Point, carry: Population) -> dict[str, Array]:
    """The outcome of each member, were it to end here."""
    return jax.vmap(lambda own, run: dict(member.finish({**point, **own}, run)))(carry.values, carry.runs)


def _exchanged(change: Change, key: Array, carry: Population, loss: Array, due: Array) -> tuple[Population, Array]:
    """The population after the last have become copies of the first, if that is due, and whom each is a copy of."""
    first, factor, whether, anew = jax.random.split(key, 4)
    itself = jnp.arange(change.size, dtype=jnp.int32)
    ranked = jnp.argsort(jnp.where(jnp.isnan(loss), jnp.inf, loss)).astype(jnp.int32)
    sound = jnp.sum(jnp.isfinite(loss), dtype=jnp.int32)
    last = ranked[change.size - change.replaced :]
    chosen = jax.random.randint(first, (change.replaced,), 0, jnp.clip(sound, 1, change.replaced))
    parent = jnp.where(due & (sound > 0), itself.at[last].set(ranked[chosen]), itself)
    copied = parent != itself
    inherited = {name: value[parent] for name, value in carry.values.items()}
    fresh, values = _drawn(change, anew), {}
    names = zip(change.ranges, jax.random.split(factor, len(fresh)), jax.random.split(whether, len(fresh)), strict=True)
    for name, k_factor, k_whether in names:
        place, before = change.ranges[name], inherited[name]
        factors = jnp.stack([jnp.asarray(factor, before.dtype) for factor in change.factors])
        moved = before * factors[jax.random.randint(k_factor, (change.size,), 0, len(change.factors))]
        moved = jnp.clip(moved, place.low, place.high)
        drawn = jax.random.bernoulli(k_whether, change.resample, (change.size,))
        values[name] = jnp.where(copied, jnp.where(drawn, fresh[name], moved), before)
    return Population(jax.tree.map(lambda leaf: leaf[parent], carry.runs), values), parent
