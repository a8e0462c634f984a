"""The types that all packages share: parameters, rules, problems, probes, runs. Nothing here computes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import optax

Array = jax.Array
PyTree = Any
Params = PyTree
Grads = PyTree
Updates = PyTree
State = PyTree

# `Rule(init, update)`: `init(params) -> state`; `update(grads, state, params=None, **extra) -> (updates, state)`,
# and `params + updates` is the next point. This is a type of optax, so gdlab and optax accept each other's rules.
Rule = optax.GradientTransformationExtraArgs

# A rule factory takes hyperparameters and returns a Rule. It is called inside the traced program, so a number may be a
# tracer.
RuleFactory = Callable[..., optax.GradientTransformation]

# One point of a labelled space: a value for each axis name.
Point = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """A metric of a problem, and whether larger or smaller values are better; made by `maximise` and `minimise`.

    Attributes:
        function: `function(params, batch) -> scalar`.
        direction: "max" if larger values are better, "min" if smaller values are better.
    """

    function: Callable[[Params, Any], Array]
    direction: Literal["min", "max"]

    def __call__(self, params: Params, batch: Any) -> Array:
        """The metric at `params` on `batch`."""
        return self.function(params, batch)


def maximise(function: Callable[[Params, Any], Array]) -> Metric:
    """A metric of which larger values are better: `metrics={"psnr": maximise(psnr)}`."""
    return Metric(function, "max")


def minimise(function: Callable[[Params, Any], Array]) -> Metric:
    """A metric of which smaller values are better. The default, unless the metric's name ends in "accuracy"."""
    return Metric(function, "min")


@dataclass(frozen=True)
class Problem:
    """A function to minimise, its starting point, and known facts about it.

    Attributes:
        init: `init(key) -> params`, the starting point.
        loss: `loss(params, batch) -> scalar`, the mean over the examples of `batch` (None where there is no data).
        gradient: `gradient(params, batch) -> (value, grads)`, used in place of `jax.value_and_grad(loss)`; for games,
            semi-gradients, policy gradients and injected noise.
        data: a pytree of arrays whose leading axis counts the examples, or None.
        sample: `sample(key, step, size) -> batch`, an endless stream, in place of `data`.
        eval_data: held-out examples, shaped like `data`.
        outputs, criterion: the model `outputs(params, batch) -> z`, and `criterion(z, batch) -> scalar`, the loss
            without penalties; without penalties `loss` may be omitted. For rules that linearise the model
            (Gauss-Newton, natural gradient).
        metrics: `{name: f(params, batch) -> scalar}`, measured on `eval_data` (or `data`) at the end of a run. Wrap a
            function in `gdlab.maximise` if larger values are better.
        facts: quantities in closed form. Keys in use: `minimum` (the least value), `minimisers` (array [k, d], one per
            row), `hessian` (array [d, d]), `smoothness` (the largest Hessian eigenvalue L), `strong_convexity` (the
            smallest Hessian eigenvalue), `domain` (((x0, x1), (y0, y1)), the usual window of plots).
    """

    init: Callable[[Array], Params]
    loss: Callable[[Params, Any], Array] = None  # type: ignore[assignment]  # filled in from outputs and criterion
    gradient: Callable[[Params, Any], tuple[Array, Grads]] | None = None
    data: PyTree = None
    sample: Callable[[Array, Array, int], Any] | None = None
    eval_data: PyTree = None
    outputs: Callable[[Params, Any], Array] | None = None
    criterion: Callable[[Array, Any], Array] | None = None
    metrics: Mapping[str, Callable[[Params, Any], Array]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.outputs is None) != (self.criterion is None):
            raise ValueError("outputs and criterion must be given together")
        if self.loss is None:
            outputs, criterion = self.outputs, self.criterion
            if outputs is None or criterion is None:
                raise ValueError("a problem needs a loss, or outputs and a criterion")
            object.__setattr__(self, "loss", lambda params, batch: criterion(outputs(params, batch), batch))

    def value_and_grad(self, params: Params, batch: Any) -> tuple[Array, Grads]:
        """The loss at `params` on `batch`, and the gradient that a rule receives."""
        if self.gradient is not None:
            return self.gradient(params, batch)
        return jax.value_and_grad(self.loss)(params, batch)


class Step(NamedTuple):
    """The argument of a probe: one step of a run, before its update is applied."""

    problem: Problem
    params: Params  # the point at which `grads` was taken
    grads: Grads
    updates: Updates  # `params + updates` is the next point
    state: State  # the rule's state after this step
    value: Array  # the loss at `params` on `batch`
    batch: Any
    index: Array  # type: ignore[assignment]  # the step's number, from 0
    key: Array  # a random key, the same for all runs of one seed
    # Returns P, by which the rule divided its momentum (see `gdlab.rules.preconditioner`); None if the rule has none or
    # does not expose it. A function, so that it is computed only if a probe calls it.
    preconditioner: Callable[[], PyTree | None] = lambda: None


# `probe(step) -> array`, or `(init(problem, params) -> carry, measure(carry, step) -> (carry, array))`.
Probe = Callable[[Step], Array] | tuple[Callable[..., Any], Callable[..., Any]]


class Stop(NamedTuple):
    """Criteria that end a run before its last step; None turns a criterion off.

    Attributes:
        grad_norm: converged once the Euclidean norm of the gradient is at most this.
        loss: converged once the loss, on the step's batch, is at most this.
        bound: diverged once the loss, on the step's batch, is above this (a loss, gradient or parameter that is not
            finite always counts as diverged).
    """

    grad_norm: Any = None
    loss: Any = None
    bound: Any = None


class Outcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        final_loss: the loss at the final point on all of `data`, or for a problem with `sample` on one fresh batch; NaN
            for a diverged run.
        best_loss: the least finite loss of all points at which a gradient was taken; NaN if there is none.
        steps_taken: the number of updates.
        diverged_at: the step at which a value was not finite or the loss exceeded `Stop.bound`; 0 = at the starting
            point; -1 = never.
        converged_at: the step at which a tolerance of `Stop` was met; -1 = never.
        metrics: `eval_loss` and `eval_NAME` for each of the problem's metrics, at the final point; NaN if diverged.
    """

    final_loss: Array
    best_loss: Array
    steps_taken: Array
    diverged_at: Array
    converged_at: Array
    metrics: Mapping[str, Array]


class Trace(NamedTuple):
    """One run: final params, final state of the rule, records and outcome."""

    params: Params
    state: State
    series: Mapping[str, Array]  # [T, ...], T = ceil(steps / every); NaN (-1 for integers) after the end of the run
    outcome: Outcome


class Process(NamedTuple):
    """A computation in steps that the engine runs at each point of a space. Its functions are pure and see one run.

    The engine owns the loop over the steps. It may take several steps before it calls `check`; if a run of the chunk
    has ended in them, it repeats them with a check after each. So the results do not depend on the number of steps
    between two checks. A plain function is a process without steps.

    Attributes:
        start: `start(point) -> carry`.
        begin: `begin(point, index) -> shared`, what the steps from number `index` on need besides the carry. It must
            not depend on earlier steps, so that a run can resume.
        step: `step(point, carry, shared, index) -> (carry, shared, record)`, one step of a run that has not ended.
            `index` is the number of the step, traced, the same for all runs. `record` is `{name: array}`; it is kept if
            `index` is a multiple of `every`. `shared` may depend on `point` and `index`, but not on the carry.
        check: `check(point, before, after, index) -> (carry, ended)`. `after` follows `before` by one or more steps,
            the last of which has number `index`. `ended` says whether the run ended in these steps. If so, `carry` is
            used only if there was one step. A run that had ended before stays as it is, and `ended` is false.
        status: `status(carry) -> {"alive": bool, ...}`. Once a run is not alive, its final results do not change and
            its records are fill values (NaN, or -1 for integers), so the engine may remove it.
        finish: `finish(point, carry) -> {name: array}`, the final results.
        steps: the number of steps.
        every: steps between two records.
        names: the axes that the functions read from `point`; the result does not depend on any other axis.
        outer: the axes in `names` that determine work which runs can share (for training the seed, which alone
            determines the batches).
        fixed: further values of every point, the same for all runs; traced, so a new value does not recompile.
        labels: the axes in `names` whose values are shown without the axis name when a group is described as text.
    """

    start: Callable[[Point], Any]
    begin: Callable[[Point, Array], Any]
    step: Callable[[Point, Any, Any, Array], tuple[Any, Any, Mapping[str, Array]]]
    check: Callable[[Point, Any, Any, Array], tuple[Any, Array]]
    status: Callable[[Any], Mapping[str, Array]]
    finish: Callable[[Point, Any], Mapping[str, Array]]
    steps: int
    every: int
    names: tuple[str, ...]
    outer: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = {}
    labels: tuple[str, ...] = ()
