"""Sweeps of training runs: problems and rules over hyperparameters and seeds, on the engine."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import jax
import numpy as np
import optax

from gdlab.analysis.selection import Direction
from gdlab.engine.axis_values import ABSENT, SpaceError, as_list, is_number
from gdlab.engine.evaluate import run
from gdlab.engine.execute import Settings
from gdlab.engine.plan import Build
from gdlab.engine.progress import Progress
from gdlab.engine.space import Block, Over, Space, refuse_repeats, space
from gdlab.errors import did_you_mean
from gdlab.rules.hyperparameters import call, hyperparameters, is_learning_rate
from gdlab.training.batches import Sampling
from gdlab.training.descent import NEVER, training
from gdlab.types import Metric, Point, Probe, Problem, Process, RuleFactory, Stop

if TYPE_CHECKING:
    import xarray

# Axes that are not hyperparameters of a rule or arguments of a problem factory.
OWN = ("rule", "seed", "batch_size")
# Axes that may be given as a count.
COUNTS = ("seed",)
PROBLEM, RULES = "problem.", "rules."
# Numeric axes that change the shape of an array.
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
    axis: Literal["first", "last"] | None = None,
    check_every: int | None = None,
    compact: bool = True,
    progress: Callable[[Progress], None] = lambda progress: None,
    executor: Any = None,
) -> "xarray.Dataset":
    """Train one run (`descend`) at every point of a labelled space, with one compiled program per array shape.

    Args:
        problem: a Problem, or a factory of one. Axes named `problem.x` set the factory's argument `x`.
        rule: a rule factory, or `{label: factory}`; then `rule` is the first dim. A rule that lacks the hyperparameter
            of an axis runs once, and its result is repeated along that axis. A built rule is accepted if no
            hyperparameter is swept.
        over: the axes, in the order of the dims: `{"lr": gdlab.log(1e-4, 1, 24), "beta": [0.5, 0.9], "seed": 8}`.
            A name is a hyperparameter (of every rule that has it), `rules.LABEL.x` (of one rule, which then ignores
            the axis `x`), `problem.x`, `seed` or `batch_size`. A tuple of names zips axes; `gdlab.chain`
            concatenates spaces. Numbers are traced. Values that change a shape or a structure split the space into
            groups, each with its own program.
        steps, batch_size, sampling, every, probes, stop: as in `descend`.
        seed: the seed if it is not an axis. All randomness of a run comes from its seed, so runs that differ only in
            hyperparameters start at the same point and see the same batches.
        static: numeric axes that must not be traced. Axes that can't be traced are detected without this.
        chunk: the number of runs that one call of the program advances; by default it follows from the cost of a run
            and the size of the cache.
        axis: where the arrays of a step have the axis of the runs of a chunk. On a CPU, "last" is faster for a small
            model (see docs/sweep-speed.md); by default it is chosen by the size of a run.
        check_every: the number of steps between two checks whether a run has ended. If one has, these steps are
            repeated with a check after each, so the results do not depend on this number. By default it is chosen by
            the cost of a check.
        compact: whether runs that have ended (diverged or converged) are removed from the program, to save time.
        progress: a function that is called with a `Progress` whenever runs finish.
        executor: trains on the workers of a dask `Client` or a `concurrent.futures` executor instead of in this
            process.

    Returns:
        A Dataset over the axes: `final_loss`, `best_loss`, `steps_taken`, `diverged_at`, `converged_at` (see
        `gdlab.types.Outcome`) and `eval_NAME` for each metric; with the dim `step`, `loss` and each probe.
        `final_loss` of a diverged run is NaN. `eval_NAME` has the attribute `direction`: "min" or "max".
        `loss`, measured on the step's batch, has the attribute `batch_size` if one is set and it is not an axis.

    Raises:
        gdlab.engine.space.SpaceError: an axis without values, a value that is twice on an axis, an axis that no rule or
            problem reads, or a negative learning rate.
        gdlab.training.user_code.UserCodeError: a problem, rule or probe returns something of the wrong kind or shape.
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
    refuse_repeats(points)
    data = run(
        points,
        build,
        static=(*STATIC, *static),
        settings=Settings(chunk=chunk, axis=axis, check_every=check_every, compact=compact, progress=progress),
        executor=executor,
        assigned=assigned,
    )
    if batch_size is not None and "loss" in data:
        data["loss"].attrs["batch_size"] = batch_size
    return mark_directions(data, metric_directions(problem, points))


def mark_directions(data: "xarray.Dataset", directions: Mapping[str, Direction]) -> "xarray.Dataset":
    """Set the attribute `direction` of each metric's variable, in place, and return the Dataset."""
    for name, direction in directions.items():
        data[name].attrs["direction"] = direction
    return data


def metric_directions(problem: ProblemLike, points: Space) -> dict[str, Direction]:
    """`eval_NAME` -> "max" or "min", the better direction, for each metric of the problem at the first point.

    A metric that was made by neither `maximise` nor `minimise` has "max" if its name ends in "accuracy", else "min".
    """
    first = {name: value for block in points.blocks for name, value in block.row(0).items()}
    given = {n.removeprefix(PROBLEM): v for n, v in first.items() if n.startswith(PROBLEM) and v is not ABSENT}
    metrics = _factory(problem, Problem)(**given).metrics
    plain: dict[str, Direction] = {n: "max" if n.endswith("accuracy") else "min" for n in metrics}
    own = {name: metric.direction for name, metric in metrics.items() if isinstance(metric, Metric)}
    return {f"eval_{name}": direction for name, direction in (plain | own).items()}


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
    """The engine's inputs for a sweep: a function from static values to the training process, and the space."""
    rules = dict(rule) if isinstance(rule, Mapping) else {"": rule}
    points = _named_batches(_labelled(space(over, COUNTS), list(rules) if isinstance(rule, Mapping) else None))
    if "step" in points.names:
        raise SpaceError("an axis can't be called 'step': that is the dim of the series")
    make_problem, bound = _numbers(_factory(problem, Problem))
    problem_fixed = {f"{PROBLEM}{name}": value for name, value in bound.items()}
    problem_axes = accepted(make_problem, [n for n in points.names if n.startswith(PROBLEM)], PROBLEM)
    makers = {label: _numbers(_factory(maker, optax.GradientTransformation)) for label, maker in rules.items()}
    factories = {label: make for label, (make, _) in makers.items()}
    for name in points.names:
        refuse_unknown(factories, name, points.names)
    _refuse_seeds(points)
    _refuse_unread(points, rules, factories, problem_axes, make_problem)
    _refuse_negative_rates(points, rules, factories)
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
        # Where an axis is absent, a rule uses its default, so the rules with this hyperparameter also read it there.
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
        )._replace(labels=("rule",))

    return build, points


def _refuse_unread(
    points: Space,
    rules: Mapping[str, RuleLike],
    factories: Mapping[str, Callable[..., Any]],
    problem_axes: Sequence[str],
    make_problem: Callable[..., Problem],
) -> None:
    """Refuse an axis that neither a rule nor the problem has.

    Raises:
        SpaceError: there is such an axis; the message says how to write it.
    """
    if any("of" in rule_axes(factories, label, points.names) for label in factories):
        return  # which hyperparameters a wrapper has depends on the inner rule at each point; the engine checks them
    for name in points.names:
        if name in (*OWN, *problem_axes) or any(rule_axes(factories, label, [name]) for label in factories):
            continue
        if name.startswith(PROBLEM):
            known = sorted(f"{PROBLEM}{x}" for x in hyperparameters(make_problem) or ())
            advice = _hint(name, known) if known else "; pass a function that builds the problem, not a built problem"
            raise SpaceError(f"unknown axis {name!r}: the problem has no such argument{advice}")
        known = sorted({*OWN}.union(*(hyperparameters(factory) or () for factory in factories.values())))
        if all(isinstance(rule, optax.GradientTransformation) for rule in rules.values()):
            advice = "; the rule is already built: pass its factory (gdlab.rules.adam, not gdlab.rules.adam(0.1))"
        elif name == "learning_rate" and "lr" in known:
            advice = "; did you mean lr?"
        else:
            advice = _hint(name, known)
        raise SpaceError(f"unknown axis {name!r}: no rule has this hyperparameter{advice}")


def _labelled(points: Space, labels: list[str] | None) -> Space:
    """The space with the axis `rule` first; it is added where the space does not have it."""
    for block in points.blocks:
        for label in block.columns[block.names.index("rule")] if "rule" in block.names else ():
            if labels is None:
                raise SpaceError("an axis named 'rule' needs a dict of rules by name")
            if label is ABSENT:
                raise SpaceError("either all parts of a chain or none must have the axis 'rule'")
            if label not in labels:
                raise SpaceError(f"there is no rule {label!r}{_hint(str(label), labels)}")
    if labels == []:
        raise SpaceError("there is no rule to sweep")
    own = (Block(("rule",), (labels,)),) if labels is not None and "rule" not in points.names else ()
    return Space(tuple(sorted((*own, *points.blocks), key=lambda block: block.names != ("rule",))))


def _refuse_seeds(points: Space) -> None:
    """Refuse seeds that are not integers.

    Raises:
        SpaceError: a seed is not an integer.
    """
    for block in points.blocks:
        for seed in block.columns[block.names.index("seed")] if "seed" in block.names else ():
            if seed is not ABSENT and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
                raise SpaceError(f"the axis 'seed' needs integers, not {seed!r}")


def _refuse_negative_rates(
    points: Space, rules: Mapping[str, RuleLike], factories: Mapping[str, Callable[..., Any]]
) -> None:
    """Refuse a negative learning rate, on an axis or bound in a rule's factory. Schedules are not evaluated.

    Raises:
        SpaceError: there is a negative learning rate; the message says where.
    """
    given: dict[str, list[Any]] = {}
    for label, rule in rules.items():
        bound = rule.keywords if isinstance(rule, functools.partial) else {}
        of_rule = f" of the rule {label}" if label else ""
        given |= {f"{name}{of_rule} is": [value] for name, value in bound.items() if is_learning_rate(name)}
        axes = {axis for name, axis in rule_axes(factories, label, points.names).items() if is_learning_rate(name)}
        for block in points.blocks:
            columns = zip(block.names, block.columns, strict=True)
            given |= {f"the axis {name!r} has": as_list(values) for name, values in columns if name in axes}
    for place, values in given.items():
        negative = next((value for value in values if is_number(value) and value < 0), None)
        if negative is not None:
            raise SpaceError(f"{place} {negative}: a learning rate must be at least 0 (to ascend, negate the loss)")


def _named_batches(points: Space) -> Space:
    """The space with "all" in place of a batch size of None, because labels can't be None."""
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
    """A factory, and the floats that `functools.partial` bound in it. They are traced: new values don't recompile."""
    if not isinstance(factory, functools.partial):
        return factory, {}
    floats = {n: v for n, v in factory.keywords.items() if isinstance(v, float)}
    rest = {n: v for n, v in factory.keywords.items() if n not in floats}
    return functools.partial(factory.func, *factory.args, **rest) if rest or factory.args else factory.func, floats


def accepted(factory: Callable[..., Any], names: Sequence[str], prefix: str = "") -> tuple[str, ...]:
    """The names that the factory takes as arguments, after their prefix is removed."""
    known = hyperparameters(factory)
    return tuple(name for name in names if known is None or name.removeprefix(prefix) in known)


def rule_axes(rules: Mapping[str, Callable[..., Any]], label: str, names: Sequence[str]) -> dict[str, str]:
    """Hyperparameter -> the axis that sets it for the rule with this label: `rules.LABEL.x`, else `x`."""
    shared = [name for name in names if name not in OWN and not name.startswith((PROBLEM, RULES))]
    own = {x: name for name in names for its, x in [rule_of(rules, name)] if its == label}
    return {name: name for name in accepted(rules[label], shared)} | {x: own[x] for x in accepted(rules[label], [*own])}


def rule_of(labels: Iterable[str], name: str) -> tuple[str | None, str]:
    """Split `rules.LABEL.x` into (LABEL, x), with the longest matching label.

    Returns (None, the unknown label) if no label matches, and (None, name) if `name` has another form.
    """
    if not name.startswith(RULES):
        return None, name
    inside = name.removeprefix(RULES)
    label = max((label for label in labels if f"{inside}.".startswith(f"{label}.")), key=len, default=None)
    return label, inside.partition(".")[0] if label is None else inside[len(label) + 1 :]


def refuse_unknown(rules: Mapping[str, Callable[..., Any]], name: str, names: Sequence[str]) -> None:
    """Refuse an axis `rules.LABEL.x` without a matching rule or hyperparameter; `names` are the names of all axes.

    Raises:
        SpaceError: there is no such label, or its rule has no such hyperparameter.
    """
    if not name.startswith(RULES):
        return
    label, own = rule_of(rules, name)
    if "" in rules:
        raise SpaceError(f"the axis {name!r} needs a dict of rules by name")
    if label is None:
        raise SpaceError(f"unknown axis {name!r}: no rule is labelled {own!r}{_hint(own, rules)}")
    known = hyperparameters(rules[label])
    if known is not None and own not in known and "of" not in rule_axes(rules, label, names):
        raise SpaceError(f"unknown axis {name!r}: {label} has no hyperparameter {own!r}{_hint(own, sorted(known))}")


def _hint(word: str, words: Iterable[str]) -> str:
    return "; " + (did_you_mean(word, words) or f"there are {', '.join(words) or 'none'}")
