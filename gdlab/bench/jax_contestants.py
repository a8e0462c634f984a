"""The engine, and hand-written JAX programs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.comparison import Contestant, Counted, Work, subset
from gdlab.bench.draws import SEED, batch_key, rows
from gdlab.bench.kernels import kernels_per_step
from gdlab.bench.task import Arrays, BenchTask, count, runs
from gdlab.engine.execute import DEFAULT_SETTINGS, layout_of, programs_of, run_mesh
from gdlab.engine.plan import plan
from gdlab.training.sweep import assignment, sweep
from gdlab.types import Problem

if TYPE_CHECKING:
    import xarray

# The number of runs that a loop trains; its time is scaled to all runs.
LOOPED = 64


def in_jax(task: BenchTask) -> list[Contestant]:
    """The JAX contestants of a task; the engine is first, because it is the reference."""
    some, share = subset(count(task), LOOPED)
    vmaps = [Contestant("vmap", lambda: scans_under_vmap(task))]
    if task.batch_size is not None:
        vmaps = [
            Contestant("vmap, a batch per run", lambda: scans_under_vmap(task)),
            Contestant("vmap, shared batches", lambda: vmap_in_a_scan(task)),
        ]
    careful = Contestant("by hand, same results", lambda: by_hand_losses(task))
    loop = Contestant("loop of jitted scans", lambda: loop_of_scans(task, some), runs=some, share=share)
    engine = Contestant("engine", lambda: Counted(by_engine(task), lambda: engine_kernels(task)))
    return [engine, careful, *vmaps, loop]


def by_engine(task: BenchTask, **settings: Any) -> Work:
    """A function that runs the task by `gdlab.sweep` with these settings, and returns the final losses."""
    swept = sweeping(task, **settings)

    def train() -> np.ndarray:
        return swept()["final_loss"].values.ravel()

    return train


def sweeping(task: BenchTask, **settings: Any) -> "Callable[[], xarray.Dataset]":
    """A function that runs the task by `gdlab.sweep` with these settings, and returns the Dataset."""
    inputs = {**_inputs(task), **settings}
    return lambda: sweep(**inputs)


def engine_kernels(task: BenchTask) -> int | None:
    """The kernels that a step of the engine takes for all runs of a chunk."""
    build, points = assignment(**_inputs(task))
    (group,) = plan(points, build)
    mesh = run_mesh()
    layout = layout_of(group, DEFAULT_SETTINGS, mesh)
    advance = programs_of(group, layout, mesh).advance
    assert advance is not None
    return kernels_per_step(advance.text, layout.blocks)


def _inputs(task: BenchTask) -> dict[str, Any]:
    """The arguments of `gdlab.sweep`."""
    start, data = _on_device(task)
    return {
        "problem": Problem(init=lambda key: start, loss=task.loss, data=data),
        "rule": task.update.rule,
        "over": task.over,
        "steps": task.steps,
        "batch_size": task.batch_size,
        "sampling": "replacement",
        "every": None,
        "seed": SEED,
    }


def scans_under_vmap(task: BenchTask) -> Work:
    """jit(vmap(scan)): each run has its own key (all equal here) and gathers its own batch."""
    over = runs(task)
    keys = jnp.broadcast_to(batch_key(), count(task))
    start, data = _on_device(task)
    train = jax.jit(jax.vmap(_scan(task), in_axes=(0, 0, None, None)))
    return _counted(lambda: np.asarray(train(over, keys, start, data)), task, train, over, keys, start, data)


def vmap_in_a_scan(task: BenchTask) -> Work:
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

    key = batch_key()
    return _counted(lambda: np.asarray(train(over, key, start, data)), task, train, over, key, start, data)


class Outcomes(NamedTuple):
    """The results of all runs, each [runs]: three of those that `gdlab.sweep` returns, with the same fill values."""

    final_loss: np.ndarray
    best_loss: np.ndarray
    diverged_at: np.ndarray


def by_hand_losses(task: BenchTask) -> Work:
    """A function that calls the program of `by_hand` and returns the final losses."""
    train, args = by_hand(task)
    return _counted(lambda: outcomes(train, args).final_loss, task, train, *args)


def outcomes(train: Callable[..., Any], args: tuple[Any, ...]) -> Outcomes:
    """The results of the program of `by_hand` for its arguments."""
    return Outcomes(*map(np.asarray, train(*args)))


def by_hand(task: BenchTask) -> tuple[Any, tuple[Any, ...]]:
    """jit(vmap(scan)) without batches, else jit(scan(vmap)) with shared batches, with the results of the engine.

    Each run keeps its lowest loss and the step at which it diverged, and stays at its last finite parameters from then
    on. Returns the jitted function and its arguments.
    """
    over = runs(task)
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

    return jax.jit(scans if task.batch_size is None else scan), (over, batch_key(), start, data)


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


def loop_of_scans(task: BenchTask, some: np.ndarray) -> Work:
    """A Python loop over some of the runs, with one jitted scan that takes the hyperparameters as arguments."""
    over = runs(task)
    start, data = _on_device(task)
    key, train = batch_key(), jax.jit(_scan(task))

    def loop() -> np.ndarray:
        losses = [train({name: column[i] for name, column in over.items()}, key, start, data) for i in some]
        return np.asarray(jax.device_get(losses))

    return loop


def _counted(work: Work, task: BenchTask, train: Any, *args: Any) -> Work:
    """The work of a jitted function, which is compiled again to count its kernels."""
    return Counted(work, lambda: kernels_per_step(train.lower(*args).compile().as_text(), task.steps))


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
