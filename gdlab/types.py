"""The words of the lab: parameters, rules, problems, probes, runs.

Every other module speaks in these. Nothing here computes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import optax

Array = jax.Array
PyTree = Any
Params = PyTree
Grads = PyTree
Updates = PyTree
State = PyTree

# `Rule(init, update)`: `init(params) -> state`; `update(grads, state, params=None, **extra) -> (updates, state)`,
# and `params + updates` is the next point. It is optax's own type, so that a rule of either library serves in the
# other.
Rule = optax.GradientTransformationExtraArgs

# A rule factory: hyperparameters in, a Rule out. It is called inside the traced program, so a number may be a tracer.
RuleFactory = Callable[..., optax.GradientTransformation]

# One point of a labelled space: a value for each axis name.
Point = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """What is minimised, where it starts and what is known about it.

    Attributes:
        init: `init(key) -> params`, the starting point.
        loss: `loss(params, batch) -> scalar`, the mean over the examples of `batch` (None where there is no data).
        gradient: `gradient(params, batch) -> (value, grads)`, used in place of `jax.value_and_grad(loss)`; for games,
            semi-gradients, policy gradients and injected noise.
        data: a pytree of arrays whose leading axis counts the examples, or None.
        sample: `sample(key, step, size) -> batch`, an endless stream, in place of `data`.
        eval_data: held-out examples, shaped like `data`.
        outputs, criterion: `outputs(params, batch) -> z`, what a model says, and `criterion(z, batch) -> scalar`, what
            that costs: the loss but for penalties, and `loss` may be left out where there are none. For rules that
            linearise the model (Gauss-Newton, natural gradient).
        metrics: `{name: f(params, batch) -> scalar}`, measured on `eval_data` (or `data`) at the end of a run.
        facts: what is known in closed form. Keys in use: `minimum` (the least value), `minimisers` (array [k, d], a row
            each), `hessian` (array [d, d]), `smoothness` (the largest Hessian eigenvalue L), `strong_convexity` (the
            smallest), `domain` (((x0, x1), (y0, y1)), the window people draw).
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
            raise ValueError("outputs and criterion belong together: give both, or neither")
        if self.loss is None:
            outputs, criterion = self.outputs, self.criterion
            if outputs is None or criterion is None:
                raise ValueError("a problem needs a loss, or outputs and a criterion")
            object.__setattr__(self, "loss", lambda params, batch: criterion(outputs(params, batch), batch))

    def value_and_grad(self, params: Params, batch: Any) -> tuple[Array, Grads]:
        """The value at `params` on `batch` and the direction that a rule is given for its gradient."""
        if self.gradient is not None:
            return self.gradient(params, batch)
        return jax.value_and_grad(self.loss)(params, batch)


class Step(NamedTuple):
    """What a probe sees: one step of a run, before its update is applied."""

    problem: Problem
    params: Params  # the point at which `grads` was taken
    grads: Grads
    updates: Updates  # `params + updates` is the next point
    state: State  # the rule's state after this step
    value: Array  # the loss at `params` on `batch`
    batch: Any
    index: Array  # type: ignore[assignment]  # the step's number, from 0
    key: Array  # random, the same for every run of one seed
    # P, by which the rule divided its momentum (see `gdlab.rules.preconditioner`); None: by nothing, or it doesn't say.
    # A function, so that a run that does not ask does not pay.
    preconditioner: Callable[[], PyTree | None] = lambda: None


# `probe(step) -> array`, or `(init(problem, params) -> carry, measure(carry, step) -> (carry, array))`.
Probe = Callable[[Step], Array] | tuple[Callable[..., Any], Callable[..., Any]]


class Stop(NamedTuple):
    """When a run ends before its last step. None: never for that reason.

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
    """How a run ended.

    Attributes:
        final_loss: the loss at the final point on all of `data`; NaN for a diverged run.
        best_loss: the least finite loss among those at which a gradient was taken; NaN if there was none.
        steps_taken: how many updates were applied.
        diverged_at: the step at which the run left the finite numbers or passed `Stop.bound`; -1 = never. 0 means that
            the starting point itself was bad.
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
    """One run: where it ended, in which state, what was recorded on the way and how it ended."""

    params: Params
    state: State
    series: Mapping[
        str, Array
    ]  # `{name: [T, ...]}`, T = ceil(steps / every); NaN (-1 for integers) after the run's end
    outcome: Outcome


class Process(NamedTuple):
    """A computation in the engine's terms: begun, advanced, ended. Every function is pure and sees one lane only.

    `start(point) -> carry`; `advance(point, carry, first, blocks) -> (carry, record)` does `blocks * every` steps from
    step number `first` (traced, the same for every lane, a multiple of `blocks * every`) and returns
    `{name: array [blocks, ...]}`; `status(carry)` is `{"alive": bool, ...}`: what a lane that is not alive finishes
    with is settled, and its records are blank (NaN, or -1 for integers), so the engine may let it go;
    `finish(point, carry) -> {name: array}`. A plain function is a process of no steps.

    Attributes:
        steps: how many steps there are; an `advance` past them changes nothing.
        every: steps between two records.
        names: the axes that `point` is read for; an axis not named here makes no difference to the result.
        outer: those of `names` on which work shared by many lanes depends (the seed, which alone decides the batches).
        fixed: values that complete a point, the same in every lane, traced so that another value is the same program.
    """

    start: Callable[[Point], Any]
    advance: Callable[[Point, Any, Array, int], tuple[Any, Mapping[str, Array]]]
    status: Callable[[Any], Mapping[str, Array]]
    finish: Callable[[Point, Any], Mapping[str, Array]]
    steps: int
    every: int
    names: tuple[str, ...]
    outer: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = {}
