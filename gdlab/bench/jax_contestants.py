"""The engine, and hand-written JAX programs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.comparison import Contestant, subset
from gdlab.bench.draws import SEED, batch_key, rows
from gdlab.bench.task import Arrays, BenchTask, count, runs
from gdlab.engine.space import Over
from gdlab.training.sweep import sweep
from gdlab.types import Problem

if TYPE_CHECKING:
    import xarray

# The number of runs that a loop trains; its time is scaled to all runs.
LOOPED = 64

Train = Callable[[], np.ndarray]


def in_jax(task: BenchTask) -> list[Contestant]:
    """The JAX contestants of a task; the engine is first, because it is the reference."""
    some, share = subset(count(task), LOOPED)
    vmaps = [Contestant("vmap", lambda: scans_under_vmap(task))]
    if task.batch_size is not None:
        vmaps = [
            Contestant("vmap, a batch per run", lambda: scans_under_vmap(task)),
            Contestant("vmap, shared batches", lambda: vmap_in_a_scan(task)),
        ]
    careful = Contestant("by hand, same results", lambda: final_losses(by_hand(task)))
    loop = Contestant("loop of jitted scans", lambda: loop_of_scans(task, some), runs=some, share=share)
    return [Contestant("engine", lambda: by_engine(task)), careful, *vmaps, loop]


def by_engine(task: BenchTask, **settings: Any) -> Train:
    """A function that runs the task by `gdlab.sweep` with these settings, and returns the final losses."""
    swept = sweeping(task, **settings)

    def train() -> np.ndarray:
        return swept()["final_loss"].values.ravel()

    return train


def sweeping(task: BenchTask, **settings: Any) -> "Callable[[], xarray.Dataset]":
    """A function that runs the task by `gdlab.sweep` with these settings, and returns the Dataset."""
    start, data = _on_device(task)
    problem = Problem(init=lambda key: start, loss=task.loss, data=data)
    return lambda: sweep(
        problem,
        task.update.rule,
        cast(Over, task.over),
        steps=task.steps,
        batch_size=task.batch_size,
        sampling="replacement",
        every=None,
        seed=SEED,
        **settings,
    )


def scans_under_vmap(task: BenchTask) -> Train:
    """jit(vmap(scan)): each run has its own key (all equal here) and gathers its own batch."""
    over = runs(task)
    keys = jnp.broadcast_to(batch_key(), count(task))
    start, data = _on_device(task)
    train = jax.jit(jax.vmap(_scan(task), in_axes=(0, 0, None, None)))
    return lambda: np.asarray(train(over, keys, start, data))


def vmap_in_a_scan(task: BenchTask) -> Train:
    """jit(scan(vmap)): each step draws one batch and applies the update to all runs."""
    over, total = runs(task), count(task)
    start, data = _on_device(task)

    @jax.jit
    def train(over: dict[str, Any], key: jax.Array, start: Arrays, data: Any) -> jax.Array:
        everywhere = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (total, *leaf.shape)), start)

        def step(carry: tuple[Arrays, Arrays], number: jax.Array) -> tuple[tuple[Arrays, Arrays], None]:
            batch = _batch(task, key, data, number)
            return jax.vmap(lambda carry, over: _updated(task, carry, batch, over))(carry, over), None

        (params, _), _ = jax.lax.scan(step, (everywhere, _velocity(task, everywhere)), jnp.arange(task.steps))
        return jax.vmap(lambda params: task.loss(params, data))(params)

    return lambda: np.asarray(train(over, batch_key(), start, data))


class Outcomes(NamedTuple):
    """The results of all runs, each [runs]: three of those that `gdlab.sweep` returns, with the same fill values."""

    final_loss: np.ndarray
    best_loss: np.ndarray
    diverged_at: np.ndarray


def final_losses(train: Callable[[], Outcomes]) -> Train:
    """A function that calls `train` and returns the final losses."""
    return lambda: train().final_loss


def by_hand(task: BenchTask) -> Callable[[], Outcomes]:
    """jit(vmap(scan)) without batches, else jit(scan(vmap)) with shared batches, with the results of the engine.

    Each run keeps its lowest loss and the step at which it diverged, and stays at its last finite parameters from then
    on.
    """
    over, total = runs(task), count(task)
    start, data = _on_device(task)

    def begun(over: dict[str, Any], start: Arrays) -> _Careful:
        return _Careful(start, _velocity(task, start), jnp.float32(jnp.inf), jnp.int32(-1))

    def scans(over: dict[str, Any], key: jax.Array, start: Arrays, data: Any) -> Any:
        def one(over: dict[str, Any]) -> Any:
            def step(run: _Careful, number: jax.Array) -> tuple[_Careful, None]:
                return _checked_update(task, run, data, number, over), None

            run, _ = jax.lax.scan(step, begun(over, start), jnp.arange(task.steps))
            return _outcomes(task, run, data)

        return jax.vmap(one)(over)

    def scan(over: dict[str, Any], key: jax.Array, start: Arrays, data: Any) -> Any:
        def step(all_runs: _Careful, number: jax.Array) -> tuple[_Careful, None]:
            batch = _batch(task, key, data, number)
            return jax.vmap(lambda run, over: _checked_update(task, run, batch, number, over))(all_runs, over), None

        everywhere = jax.vmap(begun, in_axes=(0, None))(over, start)
        all_runs, _ = jax.lax.scan(step, everywhere, jnp.arange(task.steps))
        return jax.vmap(lambda run: _outcomes(task, run, data))(all_runs)

    train = jax.jit(scans if task.batch_size is None else scan)
    return lambda: Outcomes(*map(np.asarray, train(over, batch_key(), start, data)))


class _Careful(NamedTuple):
    """The state of a run of `by_hand`."""

    params: Arrays
    velocity: Arrays
    best_loss: jax.Array
    diverged_at: jax.Array  # -1: not diverged


def _checked_update(task: BenchTask, run: _Careful, batch: Any, number: jax.Array, over: dict[str, Any]) -> _Careful:
    loss, grads = jax.value_and_grad(task.loss)(run.params, batch)
    params, velocity = task.update.step(run.params, run.velocity, grads, **over)
    alive = run.diverged_at < 0
    finite = jnp.isfinite(loss) & jnp.stack([jnp.isfinite(leaf).all() for leaf in params]).all()
    return _Careful(
        params=jax.tree.map(lambda new, old: jnp.where(alive & finite, new, old), params, run.params),
        velocity=velocity,
        best_loss=jnp.where(alive & jnp.isfinite(loss), jnp.minimum(run.best_loss, loss), run.best_loss),
        diverged_at=jnp.where(alive & ~finite, number, run.diverged_at),
    )


def _outcomes(task: BenchTask, run: _Careful, data: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Final loss, best loss and step of divergence. A run whose final loss is not finite diverged after all steps."""
    loss = task.loss(run.params, data)
    diverged_at = jnp.where((run.diverged_at < 0) & ~jnp.isfinite(loss), task.steps, run.diverged_at)
    best_loss = jnp.where(jnp.isfinite(run.best_loss), run.best_loss, jnp.nan)
    return jnp.where(diverged_at < 0, loss, jnp.nan), best_loss, diverged_at


def loop_of_scans(task: BenchTask, some: np.ndarray) -> Train:
    """A Python loop over some of the runs, with one jitted scan that takes the hyperparameters as arguments."""
    over = runs(task)
    start, data = _on_device(task)
    key, train = batch_key(), jax.jit(_scan(task))

    def loop() -> np.ndarray:
        losses = [train({name: column[i] for name, column in over.items()}, key, start, data) for i in some]
        return np.asarray(jax.device_get(losses))

    return loop


def _scan(task: BenchTask) -> Callable[..., jax.Array]:
    """The function that trains one run and returns its final loss."""

    def train(over: dict[str, Any], key: jax.Array, start: Arrays, data: Any) -> jax.Array:
        def step(carry: tuple[Arrays, Arrays], number: jax.Array) -> tuple[tuple[Arrays, Arrays], None]:
            return _updated(task, carry, _batch(task, key, data, number), over), None

        (params, _), _ = jax.lax.scan(step, (start, _velocity(task, start)), jnp.arange(task.steps))
        return task.loss(params, data)

    return train


def _updated(task: BenchTask, carry: tuple[Arrays, Arrays], batch: Any, over: dict[str, Any]) -> tuple[Arrays, Arrays]:
    params, velocity = carry
    return task.update.step(params, velocity, jax.grad(task.loss)(params, batch), **over)


def _batch(task: BenchTask, key: jax.Array, data: Any, step: jax.Array) -> Any:
    if task.batch_size is None:
        return data
    drawn = rows(task, key, step)
    return tuple(leaf[drawn] for leaf in data)


def _velocity(task: BenchTask, params: Arrays) -> Arrays:
    return jax.tree.map(jnp.zeros_like, params) if task.update.has_velocity else ()


def _on_device(task: BenchTask) -> tuple[Arrays, Any]:
    return jax.tree.map(jnp.asarray, (task.start, task.data))
