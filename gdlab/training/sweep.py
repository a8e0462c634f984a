"""Sweeps of training runs: problems and rules over hyperparameters and seeds, on the engine."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import optax

from gdlab.engine.evaluate import run
from gdlab.engine.plan import Build
from gdlab.engine.progress import Progress
from gdlab.engine.space import ABSENT, Block, Over, Space, SpaceError, space
from gdlab.errors import did_you_mean
from gdlab.rules.hyperparameters import call, hyperparameters
from gdlab.training.batches import Sampling
from gdlab.training.descent import NEVER, training
from gdlab.types import Point, Probe, Problem, Process, RuleFactory, Stop

if TYPE_CHECKING:
    import xarray

# Axes that are neither the rule's nor the problem's.
OWN = ("rule", "seed", "batch_size")
PROBLEM, RULES = "problem.", "rules."
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
    compact: bool = True,
    progress: Callable[[Progress], None] = lambda progress: None,
    executor: Any = None,
) -> "xarray.Dataset":
    """Train at every point of a labelled space: `descend`, many runs at a time, one compiled program for each shape.

    Args:
        problem: a Problem, or a factory of one, whose arguments are reached by axes named `problem.x`.
        rule: a factory; or `{name: factory}`, and then `rule` is the first dim. An axis that a rule does not have
        makes no
            difference to it: it is run once and stands at every value. A rule already built serves where nothing is
            swept.
        over: the axes, in the order of the dims: `{"lr": gdlab.log(1e-4, 1, 24), "beta": [0.5, 0.9], "seed": 8}`.
            A name is a hyperparameter of every rule that has it, `rules.LABEL.x` (that of one rule alone, which takes
            this and not the axis `x`), `problem.x`, `seed` or `batch_size`. A tuple of names zips, `gdlab.chain` puts
            spaces one after the other. Numbers are traced; what changes a shape or a structure splits the space into
            groups, each a program of its own.
        steps, batch_size, sampling, every, probes, stop: as in `descend`; `every` None keeps no series.
        seed: the seed where it is no axis. A run's randomness comes from its seed alone: runs that differ in other
        things
            start at the same point and see the same batches.
        static: axes of numbers that must not be traced (others that can't be are found out).
        chunk: how many runs go through the program at a time; by default as many as memory allows, up to some
        thousands.
        compact: whether runs that have diverged or converged make room for the others, so that they cost no more time.
        progress: called with a `Progress` as runs get done.
        executor: whose workers train, if not this process: a dask `Client`, an executor of `concurrent.futures`, or
            whatever else makes a `gdlab.engine.executor_adapter.Crew`.

    Returns:
        A Dataset over the axes: `final_loss`, `best_loss`, `steps_taken`, `diverged_at`, `converged_at` (see
        `gdlab.types.Outcome`), `eval_*` for problems with metrics, and over `step` too: `loss` and each probe. A
        diverged run's `final_loss` is NaN.

    Raises:
        gdlab.engine.space.SpaceError: an empty axis, an axis that names nothing, and the like.
        ValueError: see `descend`.
        gdlab.engine.executor_adapter.WorkersError, gdlab.engine.distribute.FailedRunsError: see
            `gdlab.engine.distribute.execute_on`.
    """
    assigned = functools.partial(
        assignment,
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
    build, points = assigned()
    return run(
        points,
        build,
        static=(*STATIC, *static),
        chunk=chunk,
        compact=compact,
        progress=progress,
        executor=executor,
        assigned=assigned,
    )


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
    points = _named_batches(_labelled(space(over), list(rules) if isinstance(rule, Mapping) else None))
    if "step" in points.names:
        raise SpaceError("an axis can't be called 'step': that is the dim of the series")
    make_problem, bound = _numbers(_factory(problem, Problem))
    problem_fixed = {f"{PROBLEM}{name}": value for name, value in bound.items()}
    problem_axes = accepted(make_problem, [n for n in points.names if n.startswith(PROBLEM)], PROBLEM)
    makers = {label: _numbers(_factory(maker, optax.GradientTransformation)) for label, maker in rules.items()}
    factories = {label: make for label, (make, _) in makers.items()}
    for name in points.names:
        refuse_unknown(factories, name)
    tolerances = {f"stop.{name}": value for name, value in stop._asdict().items() if value is not None}

    def build(values: Mapping[str, Any]) -> Process:
        label = values.get("rule", "")
        make_rule, rule_fixed = makers[label]
        absent = [name for name, value in values.items() if value is ABSENT]
        static = {name: value for name, value in values.items() if value is not ABSENT}
        swept = [name for name in points.names if name not in absent]
        own = factories
        if (inner := rule_axes(factories, label, swept).get("of")) in static:  # a wrapper takes its inner rule's names
            own = {**factories, label: functools.partial(make_rule, of=static[inner])}
        reads = rule_axes(own, label, swept)
        rule_fixed = {name: value for name, value in rule_fixed.items() if name not in reads}
        size = static.get("batch_size", batch_size)

        def problem_at(point: Point) -> Problem:
            given = {**static, **point}
            return make_problem(
                **{n.removeprefix(PROBLEM): given[n] for n in {*problem_axes, *problem_fixed} if n in given}
            )

        def rule_at(point: Point) -> optax.GradientTransformation:
            given = {**static, **point}
            return call(make_rule, {n: given[axis] for n, axis in (reads | {n: n for n in rule_fixed}).items()})

        fixed = {"seed": seed, **tolerances, **rule_fixed, **problem_fixed}
        # To the rule that would read an axis it makes a difference that it is absent.
        names = {*OWN, *reads.values(), *problem_axes, *(n for n in absent if rule_axes(own, label, [n]))}
        return training(
            problem_at,
            rule_at,
            lambda point: jax.random.key(point["seed"]),
            batch_size=None if size == "all" else size,
            stop=lambda point: Stop(**{name.removeprefix("stop."): point[name] for name in tolerances}),
            names=tuple(name for name in points.names if name in names),
            fixed={name: value for name, value in fixed.items() if name not in points.names or name in absent},
            **settings,
        )

    return build, points


def _labelled(points: Space, labels: list[str] | None) -> Space:
    """The space with the rules' labels as its first axis, unless they are an axis of it."""
    for block in points.blocks:
        for label in block.columns[block.names.index("rule")] if "rule" in block.names else ():
            if labels is None:
                raise SpaceError("an axis named 'rule' needs a dict of rules by name")
            if label is ABSENT:
                raise SpaceError("where a part of a chain has the axis 'rule', each part must have it")
            if label not in labels:
                raise SpaceError(f"there is no rule {label!r}{_hint(str(label), labels)}")
    if labels == []:
        raise SpaceError("there is no rule to sweep")
    own = (Block(("rule",), (labels,)),) if labels is not None and "rule" not in points.names else ()
    return Space(tuple(sorted((*own, *points.blocks), key=lambda block: block.names != ("rule",))))


def _named_batches(points: Space) -> Space:
    """The space with a word for the batch size that is None."""
    blocks = []
    for block in points.blocks:
        columns = dict(zip(block.names, block.columns, strict=True))
        if isinstance(sizes := columns.get("batch_size"), list):
            columns["batch_size"] = ["all" if size is None else size for size in sizes]
        blocks.append(block._replace(columns=tuple(columns.values())))
    return Space(tuple(blocks))


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


def rule_axes(rules: Mapping[str, Callable[..., Any]], label: str, names: Sequence[str]) -> dict[str, str]:
    """By hyperparameter of the rule with this label, the axis that gives it: `rules.LABEL.x`, or else `x`."""
    shared = [name for name in names if name not in OWN and not name.startswith((PROBLEM, RULES))]
    own = {x: name for name in names for its, x in [rule_of(rules, name)] if its == label}
    return {name: name for name in accepted(rules[label], shared)} | own


def rule_of(labels: Iterable[str], name: str) -> tuple[str | None, str]:
    """The label in `rules.LABEL.x`, the longest that fits, and x.

    None, and what stands where the label should be, where none fits; None and the name where it is no such name.
    """
    if not name.startswith(RULES):
        return None, name
    inside = name.removeprefix(RULES)
    label = max((label for label in labels if f"{inside}.".startswith(f"{label}.")), key=len, default=None)
    return label, inside.partition(".")[0] if label is None else inside[len(label) + 1 :]


def refuse_unknown(rules: Mapping[str, Callable[..., Any]], name: str) -> None:
    """Refuse an axis `rules.LABEL.x` that reaches nothing.

    Raises:
        SpaceError: there is no such label, or its rule has no such hyperparameter.
    """
    if not name.startswith(RULES):
        return
    label, own = rule_of(rules, name)
    if "" in rules:
        raise SpaceError(f"the axis {name!r} needs a dict of rules by name")
    if label is None:
        raise SpaceError(f"the axis {name!r} reaches no rule: {own!r} is none{_hint(own, rules)}")
    known = hyperparameters(rules[label])
    if known is not None and own not in known:
        raise SpaceError(f"the axis {name!r} reaches nothing: {label} has no {own!r}{_hint(own, sorted(known))}")


def _hint(word: str, words: Iterable[str]) -> str:
    return "; " + (did_you_mean(word, words) or f"there are {', '.join(words) or 'none'}")
