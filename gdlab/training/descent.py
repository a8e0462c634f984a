"""One run of gradient descent: as a `Process` for the engine, and as the function `descend`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.engine.fill_values import fill_dtype, fill_value
from gdlab.pytrees import norm
from gdlab.rules.evaluation import evaluation_point
from gdlab.rules.leafwise import select
from gdlab.rules.preconditioner import preconditioner
from gdlab.training.batches import Sampling, batches
from gdlab.training.probes.pairs import as_pair
from gdlab.training.user_code import checked_loss, checked_measurement, checked_params, checked_update
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


class Run(NamedTuple):
    """The state of one run between two steps: the carry of its process."""

    params: Params
    state: State
    probes: Mapping[str, Any]  # what the probes carry from step to step
    best_loss: Array
    # ALIVE, or for a run that ended at step t: t if it diverged, -2 - t if it converged. One number instead of three,
    # because on a small problem this bookkeeping is most of the work.
    ended: Array

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
        here = problem(point)
        params = checked_params(here.init(_keys(key(point)).init), here.init)
        return Run(
            params=params,
            state=jax.tree.map(jnp.asarray, rule(point).init(params)),
            probes={name: init(here, params) for name, (init, _) in measures.items()},
            best_loss=jnp.asarray(jnp.inf, jnp.result_type(float)),
            ended=jnp.asarray(ALIVE, jnp.int32),
        )

    def advance(point: Point, run: Run, first: Array, blocks: int) -> tuple[Run, dict[str, Array]]:
        # If the segments divide the run evenly, no step has to test whether it lies past the last one.
        span = blocks * (every or 1)
        last = None if span and steps % span == 0 else steps
        take = _stepper(problem(point), rule(point), stop(point), _keys(key(point)).steps, last)
        source = batches(problem(point), _keys(key(point)).batches, batch_size, sampling)

        def silent(carry: tuple[Run, Any], index: Array) -> tuple[tuple[Run, Any], None]:
            order, batch = source.take(carry[1], index)
            return (take(carry[0], batch, index)[0], order), None

        def recorded(carry: tuple[Run, Any], index: Array, wanted: Array) -> tuple[tuple[Run, Any], dict[str, Array]]:
            order, batch = source.take(carry[1], index)
            run, step, active = take(carry[0], batch, index)
            run, record = _measured(measures, run, step, active, wanted)
            return (run, order), record

        def block(carry: tuple[Run, Any], at: Array) -> tuple[tuple[Run, Any], dict[str, Array]]:
            if every == 1:
                return recorded(carry, at, jnp.asarray(True))
            offsets = jnp.arange(every, dtype=jnp.int32)
            carry, records = jax.lax.scan(lambda c, i: recorded(c, at + i, i == 0), carry, offsets)
            return carry, jax.tree.map(lambda record: record[0], records)

        carry, counts = (run, source.begin(first)), jnp.arange(blocks, dtype=jnp.int32)
        if every is None:
            (run, _), _ = jax.lax.scan(silent, carry, first + counts)
            return run, {}
        (run, _), records = jax.lax.scan(block, carry, first + every * counts)
        return run, records

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
        advance=advance,
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
    run = process.start({})
    run, series = process.advance({}, run, jnp.asarray(0, jnp.int32), -(-steps // process.every))
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


def _stepper(
    problem: Problem, rule: optax.GradientTransformation, stop: Stop, key: Array, last: int | None
) -> Callable[[Run, Any, Array], tuple[Run, Step, Array]]:
    """One step of a run: `(run, batch, index) -> (run, the Step that probes see, whether the run was alive)`.

    Steps with index >= `last` change nothing. `last` is None where no such steps occur.
    """
    update = optax.with_extra_args_support(rule).update
    problem = replace(problem, loss=checked_loss(problem.loss))

    def take(run: Run, batch: Any, index: Array) -> tuple[Run, Step, Array]:
        value, grads = problem.value_and_grad(run.params, batch)
        noise = jax.random.fold_in(key, index)
        returned = update(
            grads,
            run.state,
            run.params,
            value=value,
            grad=grads,
            value_fn=lambda params: problem.loss(params, batch),
            grad_fn=lambda params: problem.value_and_grad(params, batch)[1],
            key=noise,
            step=index,
            **_optional_extras(problem, batch),
        )
        updates, state = checked_update(returned, rule.update, run.params, run.state)
        params = jax.tree.map(lambda x, u: x + u.astype(x.dtype), run.params, updates)
        value = _wide(value)
        # Select between numbers, and recompute each boolean from a number where it is used: XLA's CPU backend
        # vectorises such selections, but not booleans carried between them, which made small runs four times slower.
        ended = jnp.where(run.alive & ~(_bounded(value, stop) & _finite(params)), index, run.ended)
        tolerant = stop.loss is not None or stop.grad_norm is not None
        if tolerant:
            ended = jnp.where(run.alive & _within(value, grads, stop), -2 - index, ended)
        least = jnp.minimum(run.best_loss, jnp.where(jnp.isfinite(value), value, jnp.inf))
        best = jnp.where(run.alive, least, run.best_loss)
        active = run.alive
        if last is not None:
            within = index < last
            ended, best = jnp.where(within, ended, run.ended), jnp.where(within, best, run.best_loss)
            active = active & within
            moved = (ended == ALIVE) & within
        else:
            moved = ended == ALIVE
        after = Run(
            params=select(moved, params, run.params),
            # Nothing reads the state of a diverged run. The state of a converged run may hold the average of the
            # parameters at which the run is evaluated, so it is kept.
            state=select(moved, state, run.state) if tolerant or last is not None else state,
            probes=run.probes,
            best_loss=best,
            ended=ended,
        )
        divisor = partial(preconditioner, rule, state)
        return after, Step(problem, run.params, grads, updates, state, value, batch, index, noise, divisor), active

    return take


def _optional_extras(problem: Problem, batch: Any) -> dict[str, Callable[[Any], Any]]:
    """The optional extra arguments of `update` that this problem can provide."""
    offered: dict[str, Callable[[Any], Any]] = {}
    if problem.sample is None:
        offered["full_grad_fn"] = lambda params: problem.value_and_grad(params, problem.data)[1]
    if problem.outputs is not None and problem.criterion is not None:
        outputs, criterion = problem.outputs, problem.criterion
        offered["outputs_fn"] = lambda params: outputs(params, batch)
        offered["criterion_fn"] = lambda z: criterion(z, batch)
    return offered


def _measured(
    measures: Mapping[str, tuple[Any, Any]], run: Run, step: Step, active: Array, wanted: Array
) -> tuple[Run, dict[str, Array]]:
    """The loss and, where `wanted`, what the probes measure (otherwise zeros, which are not kept)."""
    record = {"loss": _fill_unless(active, step.value)}
    if not measures:
        return run, record

    def measure(carries: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
        taken = {name: probe(carries[name], step) for name, (_, probe) in measures.items()}
        values = {name: checked_measurement(name, value) for name, (_, value) in taken.items()}
        return {name: carry for name, (carry, _) in taken.items()}, values

    shapes = jax.eval_shape(measure, run.probes)[1]

    def skip(carries: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
        return dict(carries), jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    # `wanted` is the same for all runs, so under vmap this remains a branch: a probe costs nothing between records.
    carries, values = jax.lax.cond(wanted, measure, skip, dict(run.probes))
    return run._replace(probes=carries), record | {n: _fill_unless(active, value) for n, value in values.items()}


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
        "final_loss": _fill_unless(sound, loss),
        "best_loss": _fill_unless(jnp.isfinite(run.best_loss), run.best_loss),
        "steps_taken": steps_taken,
        "diverged_at": diverged_at,
        "converged_at": run.converged_at,
        **{name: _fill_unless(sound, value) for name, value in measured.items()},
    }


def _wide(loss: Array) -> Array:
    return jnp.asarray(loss).astype(jnp.result_type(float))


def _within(value: Array, grads: PyTree, stop: Stop) -> Array:
    met = jnp.asarray(False)
    if stop.loss is not None:
        met = met | (value <= _wide(stop.loss))
    if stop.grad_norm is not None:
        met = met | (_wide(norm(grads)) <= _wide(stop.grad_norm))
    return met & jnp.isfinite(value)


def _bounded(value: Array, stop: Stop) -> Array:
    fine = jnp.isfinite(value)
    return fine if stop.bound is None else fine & (value <= _wide(stop.bound))


def _finite(tree: PyTree) -> Array:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]).all()


def _fill_unless(present: Array, value: Array) -> Array:
    """The value, or the fill value (NaN; -1 for integers and booleans, which become signed) if `present` is false."""
    dtype = fill_dtype(value.dtype)
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise TypeError(f"a {value.dtype} result needs float64 precision for its fill value; return int32 or float32")
    return jnp.where(present, value.astype(dtype), jnp.asarray(fill_value(value.dtype)))
