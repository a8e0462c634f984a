"""Sweeps of training runs: problems and rules over hyperparameters and seeds, on the engine."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import optax

from gdlab.batches import Sampling
from gdlab.descent import NEVER, training
from gdlab.engine.evaluate import run
from gdlab.engine.execute import Progress
from gdlab.engine.plan import Build
from gdlab.engine.space import Over, Space, SpaceError, space
from gdlab.rules.hyperparameters import call, hyperparameters
from gdlab.types import Point, Probe, Problem, Process, RuleFactory, Stop

if TYPE_CHECKING:
    import xarray

# Axes that are neither the rule's nor the problem's.
OWN = ("rule", "seed", "batch_size")
PROBLEM = "problem."
# Axes of numbers that change a shape.
STATIC = ("batch_size",)

ProblemLike: TypeAlias = Problem | Callable[..., Problem]
RuleLike: TypeAlias = optax.GradientTransformation | RuleFactory


def sweep(
    problem: ProblemLike,
    rule: RuleLike | Mapping[str, RuleLike],
    over: Over,
    *,
    steps: int,
    batch_size: int | None = None,
    sampling: Sampling = "shuffle",
    every: int | None = 1,
    probes: Mapping[str, Probe] | None = None,
    stop: Stop = NEVER,
    seed: int = 0,
    static: Sequence[str] = (),
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> "xarray.Dataset":
    """Train at every point of a labelled space: `descend`, many runs at a time, one compiled program for each shape.

    Args:
        problem: a Problem, or a factory of one, whose arguments are reached by axes named `problem.x`.
        rule: a factory; or `{name: factory}`, and then `rule` is the first dim. An axis that a rule does not have
        makes no
            difference to it: it is run once and stands at every value. A rule already built serves where nothing is
            swept.
        over: the axes, in the order of the dims: `{"lr": gdlab.log(1e-4, 1, 24), "beta": [0.5, 0.9], "seed": 8}`.
            A name is a hyperparameter of a rule, `problem.x`, `seed` or `batch_size`. A tuple of names zips. Numbers
            are traced; what changes a shape or a structure splits the space into groups, each a program of its own.
        steps, batch_size, sampling, every, probes, stop: as in `descend`; `every` None keeps no series.
        seed: the seed where it is no axis. A run's randomness comes from its seed alone: runs that differ in other
        things
            start at the same point and see the same batches.
        static: axes of numbers that must not be traced (others that can't be are found out).
        chunk: how many runs go through the program at a time; by default as many as memory allows, up to some
        thousands.
        progress: called with a `Progress` as runs get done.

    Returns:
        A Dataset over the axes: `final_loss`, `best_loss`, `steps_taken`, `diverged_at`, `converged_at` (see
        `gdlab.types.Outcome`), `eval_*` for problems with metrics, and over `step` too: `loss` and each probe. A
        diverged run's `final_loss` is NaN.

    Raises:
        gdlab.engine.space.SpaceError: an empty axis, an axis that names nothing, and the like.
        ValueError: see `descend`.
    """
    build, points = assignment(
        problem,
        rule,
        over,
        steps=steps,
        batch_size=batch_size,
        sampling=sampling,
        every=every,
        probes=probes,
        stop=stop,
        seed=seed,
    )
    return run(points, build, static=(*STATIC, *static), chunk=chunk, progress=progress)


def assignment(
    problem: ProblemLike,
    rule: RuleLike | Mapping[str, RuleLike],
    over: Over,
    *,
    stop: Stop = NEVER,
    seed: int = 0,
    batch_size: int | None = None,
    **settings: Any,
) -> tuple[Build, Space]:
    """A sweep in the engine's terms: the space, and for each choice of static values the process that trains."""
    rules = dict(rule) if isinstance(rule, Mapping) else {"": rule}
    if isinstance(rule, Mapping):
        if not rules:
            raise SpaceError("there is no rule to sweep")
        over = {"rule": list(rules), **over}
    elif "rule" in over:
        raise SpaceError("an axis named 'rule' needs a dict of rules by name")
    if any("step" in ([names] if isinstance(names, str) else names) for names in over):
        raise SpaceError("an axis can't be called 'step': that is the dim of the series")
    points = space({name: _named_batches(name, values) for name, values in over.items()})
    make_problem, bound = _numbers(_factory(problem, Problem))
    problem_fixed = {f"{PROBLEM}{name}": value for name, value in bound.items()}
    problem_axes = accepted(make_problem, [n for n in points.names if n.startswith(PROBLEM)], PROBLEM)
    makers = {label: _numbers(_factory(maker, optax.GradientTransformation)) for label, maker in rules.items()}
    tolerances = {f"stop.{name}": value for name, value in stop._asdict().items() if value is not None}

    def build(values: Mapping[str, Any]) -> Process:
        make_rule, rule_fixed = makers[values.get("rule", "")]
        rule_axes = accepted(make_rule, [n for n in points.names if n not in OWN and not n.startswith(PROBLEM)])
        size = values.get("batch_size", batch_size)

        def problem_at(point: Point) -> Problem:
            given = {**values, **point}
            return make_problem(**{n.removeprefix(PROBLEM): given[n] for n in {*problem_axes, *problem_fixed}})

        def rule_at(point: Point) -> optax.GradientTransformation:
            given = {**values, **point}
            return call(make_rule, {n: given[n] for n in {*rule_axes, *rule_fixed}})

        fixed = {"seed": seed, **tolerances, **rule_fixed, **problem_fixed}
        return training(
            problem_at,
            rule_at,
            lambda point: jax.random.key(point["seed"]),
            batch_size=None if size == "all" else size,
            stop=lambda point: Stop(**{name.removeprefix("stop."): point[name] for name in tolerances}),
            names=tuple(name for name in points.names if name in {*OWN, *rule_axes, *problem_axes}),
            fixed={name: value for name, value in fixed.items() if name not in points.names},
            **settings,
        )

    return build, points


def _named_batches(name: Any, values: Any) -> Any:
    if name == "batch_size" and isinstance(values, list | tuple):
        return ["all" if value is None else value for value in values]
    return values


def _factory(thing: Any, built: type) -> Callable[..., Any]:
    return (lambda: thing) if isinstance(thing, built) else thing


def _numbers(factory: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, float]]:
    """A factory, and the numbers that `functools.partial` bound in it: traced, so another value is no new program."""
    if not isinstance(factory, functools.partial):
        return factory, {}
    floats = {n: v for n, v in factory.keywords.items() if isinstance(v, float)}
    rest = {n: v for n, v in factory.keywords.items() if n not in floats}
    return functools.partial(factory.func, *factory.args, **rest) if rest or factory.args else factory.func, floats


def accepted(factory: Callable[..., Any], names: Sequence[str], prefix: str = "") -> tuple[str, ...]:
    """Those of the names that, without their prefix, the factory takes."""
    known = hyperparameters(factory)
    return tuple(name for name in names if known is None or name.removeprefix(prefix) in known)
