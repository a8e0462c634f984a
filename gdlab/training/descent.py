"""One run of gradient descent: as a `Process` for the engine, and as the function `descend`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.engine.fill_values import fill_unless
from gdlab.engine.loop import advance
from gdlab.pytrees import norm
from gdlab.rules.evaluation import evaluation_point
from gdlab.rules.leafwise import select
from gdlab.rules.preconditioner import preconditioner
from gdlab.training.batches import Batches, Sampling, batches
from gdlab.training.kernel import starting_point, update_step
from gdlab.training.probes.pairs import as_pair
from gdlab.training.user_code import checked_measurement
from gdlab.types import (
    Array,
    Outcome,
    Params,
    Point,
    Probe,
    Problem,
    Process,
    PyTree,
    State,
    Step,
    Stop,
    Trace,
)

NEVER = Stop()
ALIVE = -1
OUTCOME = ("final_loss", "best_loss", "steps_taken", "diverged_at", "converged_at")


class Unchecked(NamedTuple):
    """What the steps since the last check leave for the next one. Least values are inf, others 0, right after a check.

    A step does not compare anything with a tolerance: on a small problem such bookkeeping is most of the work.
    """

    loss: Array  # the least loss
    finite: Array  # 0, or NaN if a loss was not finite
    highest: Array | None  # the greatest loss, if there is a bound
    grad_norm: Array | None  # the least norm of the gradient, if it has a tolerance


class Run(NamedTuple):
    """The state of one run between two steps: the carry of its process."""

    params: Params
    state: State
    probes: Mapping[str, Any]  # what the probes carry from step to step
    best_loss: Array
    # ALIVE, or for a run that ended at step t: t if it diverged, -2 - t if it converged.
    ended: Array
    unchecked: Unchecked

    @property
    def alive(self) -> Array:
        """Whether the run has neither diverged nor converged."""
        return self.ended == ALIVE

    @property
    def diverged_at(self) -> Array:
        """The step at which it diverged; -1 if it did not."""
        return jnp.maximum(self.ended, -1)

    @property
    def converged_at(self) -> Array:
        """The step at which it converged; -1 if it did not."""
        return jnp.maximum(-2 - self.ended, -1)


def training(
    problem: Callable[[Point], Problem],
    rule: Callable[[Point], optax.GradientTransformation],
    key: Callable[[Point], Array],
    *,
    steps: int,
    batch_size: int | None = None,
    sampling: Sampling = "shuffle",
    every: int | None = 1,
    probes: Mapping[str, Probe] | None = None,
    stop: Callable[[Point], Stop] = lambda point: Stop(),
    names: tuple[str, ...] = (),
    fixed: Mapping[str, Any] | None = None,
) -> Process:
    """A training run as a process whose problem, rule, key and tolerances are functions of the point.

    Step t computes (loss, grads) at the parameters x on the batch of step t. If a tolerance of `stop` is met, the run
    has converged and x stays. If the loss or the next x is not finite, or the loss exceeds `stop.bound`, the run has
    diverged and x stays at its last finite value. Otherwise x <- x + updates. `every=None` records no series.

    Raises:
        ValueError: `steps` below 0, `every` below 1, a probe with the name of another result, or impossible batches
            (`gdlab.training.batches.batches`).
    """
    if steps < 0:
        raise ValueError(f"steps must not be negative, not {steps}")
    if every is not None and every < 1:
        raise ValueError(f"every must be at least 1, not {every}")
    measures = {name: as_pair(probe) for name, probe in (probes or {}).items()}
    for name in measures:
        if name in ("loss", *OUTCOME) or name.startswith("eval_"):
            raise ValueError(f"a probe can't be named {name!r}: every run already has a result of that name")

    def start(point: Point) -> Run:
        here, update = problem(point), rule(point)
        params, state = starting_point(here, update, _keys(key(point)).init)
        return Run(
            params=params,
            state=state,
            probes={name: init(here, params) for name, (init, _) in measures.items()},
            best_loss=jnp.asarray(jnp.inf, jnp.result_type(float)),
            ended=jnp.asarray(ALIVE, jnp.int32),
            unchecked=_unchecked(stop(point)),
        )

    def source(point: Point) -> Batches:
        return batches(problem(point), _keys(key(point)).batches, batch_size, sampling)

    def step(point: Point, run: Run, order: Any, index: Array) -> tuple[Run, Any, dict[str, Array]]:
        here, update = problem(point), rule(point)
        order, batch = source(point).take(order, index)
        noise = jax.random.fold_in(_keys(key(point)).steps, index)
        params, state, info = update_step(here, update)(run.params, run.state, batch, noise, index)
        value = _wide(info.value)
        divisor = partial(preconditioner, update, state)
        seen = Step(here, run.params, info.grads, info.updates, state, value, batch, index, noise, divisor)
        probed, record = _measured(measures, run.probes, seen, every) if every else (run.probes, {})
        unchecked = _noted(run.unchecked, value, info.grads)
        return run._replace(params=params, state=state, probes=probed, unchecked=unchecked), order, record

    def check(point: Point, before: Run, after: Run, index: Array) -> tuple[Run, Array]:
        return _checked(before, after, index, stop(point))

    def finish(point: Point, run: Run) -> dict[str, Array]:
        here = problem(point)
        whole = here.data
        if here.sample is not None:
            assert batch_size is not None  # `batches` refuses a stream without a batch size
            after = jnp.asarray(steps, jnp.int32)
            whole = here.sample(jax.random.fold_in(_keys(key(point)).batches, after), after, batch_size)
        return _ended(here, run, stop(point), whole, steps)

    return Process(
        start=start,
        begin=lambda point, index: source(point).begin(index),
        step=step,
        check=check,
        status=lambda run: {"alive": run.alive, "diverged": run.ended >= 0},
        finish=finish,
        steps=steps,
        every=every or 1,
        names=names,
        outer=("seed",),
        fixed=fixed or {},
    )


def descend(
    problem: Problem,
    rule: optax.GradientTransformation,
    key: Array,
    *,
    steps: int,
    batch_size: int | None = None,
    sampling: Sampling = "shuffle",
    every: int | None = 1,
    probes: Mapping[str, Probe] | None = None,
    stop: Stop = NEVER,
) -> Trace:
    """One run of `steps` steps: x <- x + updates(grads of the loss at x on the step's batch). Pure; jit, vmap and grad
    work.

    Args:
        problem: what to minimise.
        rule: the update rule, of gdlab or of optax.
        key: the random key of the starting point, the batches and the noise that the rule draws.
        steps: the largest number of updates; static.
        batch_size: None = all examples (batch gradient descent), 1 = stochastic, n = mini-batch; static.
        sampling: "shuffle" (epochs without replacement) or "replacement".
        every: record at steps 0, every, 2 every, ...; None records no series.
        probes: `{name: probe}`, recorded in addition to `loss`, the loss on the step's batch at the parameters where
            the gradient is taken.
        stop: the conditions under which the run ends early.

    Raises:
        ValueError: see `training` and `gdlab.training.batches.batches`.
    """
    process = training(
        lambda point: problem,
        lambda point: rule,
        lambda point: key,
        steps=steps,
        batch_size=batch_size,
        sampling=sampling,
        every=every,
        probes=probes,
        stop=lambda point: stop,
    )
    run, series = advance(process, {}, process.start({}))
    ended = dict(process.finish({}, run))
    known = {name: ended.pop(name) for name in OUTCOME}
    return Trace(run.params, run.state, series, Outcome(**known, metrics=ended))


class _Keys(NamedTuple):
    init: Array
    batches: Array
    steps: Array


def _keys(key: Array) -> _Keys:
    init, order, noise = jax.random.split(key, 3)
    return _Keys(init, order, noise)


def _unchecked(stop: Stop) -> Unchecked:
    inf, zero = (jnp.asarray(number, jnp.result_type(float)) for number in (jnp.inf, 0.0))
    bounded, tolerant = stop.bound is not None, stop.grad_norm is not None
    return Unchecked(inf, zero, -inf if bounded else None, inf if tolerant else None)


def _noted(noted: Unchecked, value: Array, grads: PyTree) -> Unchecked:
    """`noted` after another step."""
    # Comparisons are false for NaN. XLA does not simplify 0 * value, which is NaN if the value is not finite.
    return Unchecked(
        loss=jnp.where(value < noted.loss, value, noted.loss),
        finite=noted.finite + 0 * value,
        highest=None if noted.highest is None else jnp.where(value > noted.highest, value, noted.highest),
        grad_norm=None if noted.grad_norm is None else jnp.fmin(_wide(norm(grads)), noted.grad_norm),
    )


def _checked(before: Run, after: Run, index: Array, stop: Stop) -> tuple[Run, Array]:
    """See `Process.check`. A run that ended keeps its last finite parameters.

    Numbers that are not finite stay so under x <- x + u, so the parameters after the last step show whether they were
    finite after every step.
    """
    noted, alive = after.unchecked, before.alive
    sound = jnp.isfinite(noted.finite) & _finite(after.params)
    if noted.highest is not None and stop.bound is not None:
        sound = sound & (noted.highest <= _wide(stop.bound))
    ended = jnp.where(alive & ~sound, index, before.ended)
    tolerant = stop.loss is not None or stop.grad_norm is not None
    if tolerant:
        ended = jnp.where(alive & _within(noted, stop), -2 - index, ended)
    least = jnp.minimum(before.best_loss, jnp.where(jnp.isfinite(noted.loss), noted.loss, jnp.inf))
    moved = ended == ALIVE
    return Run(
        params=select(moved, after.params, before.params),
        # Nothing reads the state of a diverged run. The state of a converged run may hold the average of the
        # parameters at which the run is evaluated, so it is kept.
        state=select(moved, after.state, before.state) if tolerant else after.state,
        probes=after.probes,
        best_loss=jnp.where(alive, least, before.best_loss),
        ended=ended,
        unchecked=_unchecked(stop),
    ), ended != before.ended


def _measured(
    measures: Mapping[str, tuple[Any, Any]], carries: Mapping[str, Any], step: Step, every: int
) -> tuple[Mapping[str, Any], dict[str, Array]]:
    """The loss, and at multiples of `every` what the probes measure (otherwise zeros, which are not kept)."""
    record = {"loss": step.value}
    if not measures:
        return carries, record

    def measure(carries: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
        taken = {name: probe(carries[name], step) for name, (_, probe) in measures.items()}
        values = {name: checked_measurement(name, value) for name, (_, value) in taken.items()}
        return {name: carry for name, (carry, _) in taken.items()}, values

    shapes = jax.eval_shape(measure, carries)[1]

    def skip(carries: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
        return dict(carries), jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    if every == 1:
        carries, values = measure(carries)
    else:
        # All runs have the same index, so under vmap this remains a branch: a probe costs nothing between records.
        carries, values = jax.lax.cond(step.index % every == 0, measure, skip, dict(carries))
    return carries, record | values


def _ended(problem: Problem, run: Run, stop: Stop, whole: Any, steps: int) -> dict[str, Array]:
    """The outcome and the metrics by name, at the rule's evaluation point (by default the final parameters)."""
    judged = evaluation_point(run.state, run.params)
    loss = _wide(problem.loss(judged, whole))
    lost = run.alive & ~_bounded(loss, stop)  # the last update made the run diverge
    # A run that ends at step t has applied the t updates before it.
    steps_taken = jnp.where(run.alive, steps, jnp.maximum(run.diverged_at, run.converged_at))
    diverged_at = jnp.where(lost, steps_taken, run.diverged_at)
    sound = diverged_at < 0
    held_out = whole if problem.eval_data is None else problem.eval_data
    measured = {f"eval_{name}": jnp.asarray(metric(judged, held_out)) for name, metric in problem.metrics.items()}
    if problem.eval_data is not None:
        measured["eval_loss"] = _wide(problem.loss(judged, held_out))
    return {
        "final_loss": fill_unless(sound, loss),
        "best_loss": fill_unless(jnp.isfinite(run.best_loss), run.best_loss),
        "steps_taken": steps_taken,
        "diverged_at": diverged_at,
        "converged_at": run.converged_at,
        **{name: fill_unless(sound, value) for name, value in measured.items()},
    }


def _wide(loss: Array) -> Array:
    return jnp.asarray(loss).astype(jnp.result_type(float))


def _within(noted: Unchecked, stop: Stop) -> Array:
    met = jnp.asarray(False)
    if stop.loss is not None:
        met = met | (noted.loss <= _wide(stop.loss))
    if stop.grad_norm is not None and noted.grad_norm is not None:
        met = met | (noted.grad_norm <= _wide(stop.grad_norm))
    return met & jnp.isfinite(noted.loss)


def _bounded(value: Array, stop: Stop) -> Array:
    fine = jnp.isfinite(value)
    return fine if stop.bound is None else fine & (value <= _wide(stop.bound))


def _finite(tree: PyTree) -> Array:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]).all()
