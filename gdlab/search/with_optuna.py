"""Search with Optuna (Akiba et al., 2019): it proposes points, gdlab runs them, many at a time. https://optuna.org"""

import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from gdlab.analysis.selection import SEED, median, score, sign
from gdlab.engine.evaluate import run
from gdlab.engine.space import space
from gdlab.search.ranges import Choice, Range, Ranges, SearchError, read
from gdlab.training.sweep import COUNTS, STATIC, ProblemLike, RuleLike, assignment
from gdlab.types import Process

if TYPE_CHECKING:
    import optuna
    import xarray

    from gdlab.engine.progress import Progress

TRIAL = "trial"
# The values of one proposal, in the order of the ranges; of a choice its label.
Suggested: TypeAlias = tuple[Any, ...]
# Proposals that a round asks for at most, for each point that it has room for: in a space of few points most proposals
# are soon known ones.
PATIENCE = 4


def optuna_search(
    problem: ProblemLike,
    rule: RuleLike,
    ranges: Ranges,
    *,
    trials: int,
    batch: int,
    steps: int,
    seeds: int | Sequence[int] = 4,
    study: "optuna.Study | None" = None,
    sampler_seed: int = 0,
    metric: str = "final_loss",
    chunk: int | None = None,
    progress: "Callable[[Progress], None]" = lambda progress: None,
    **settings: Any,
) -> "xarray.Dataset":
    """Try `trials` points that Optuna proposes, `batch` at a time, each with all seeds, and tell it how they did.

    A round is one sweep of `batch` points times the seeds. All rounds have one shape, so that the first compiles for
    all: a round that is not full repeats its last point, and what that gives is not kept. A choice (a list in `ranges`)
    is a program for each of its options, of the widths 1, 2, 4, ..., `batch`.

    What a trial is told is the median over seeds of `metric`, and infinity, on the bad side, where half of the seeds or
    more diverged. Not a failure: samplers leave those out, and go on proposing what diverges (where the upper half of a
    range did, 73% of TPE's proposals after the first round lay there, against 19% told infinity). Not a large number:
    how large? TPE only ranks trials, and puts an infinite one last.

    A point proposed again is not run again: the trial is told what the point gave, and has a place in the results.

    Args:
        problem, rule: as in `gdlab.sweep`; one rule, for rules are compared by a search of each.
        ranges: `{name: (low, high)}`, `(low, high, "log" or "linear")` or a list of options; the names are those that
            axes of a sweep have.
        trials: how many points are tried in all.
        batch: how many of them at a time. The sampler learns between rounds only.
        steps: of each run.
        seeds: how many, or which.
        study: the study to go on with, whose own sampler proposes; by default a new one with Optuna's multivariate TPE
            sampler.
        sampler_seed: of the new study's sampler.
        metric: what is made least, or greatest if its name ends in `accuracy`.
        chunk, progress: as in `gdlab.sweep`.
        settings: `batch_size`, `sampling`, `every`, `probes` and `stop`, as in `gdlab.sweep`.

    Returns:
        A Dataset as that of a sweep over the dims `trial` and `seed`; each hyperparameter is a coordinate along
        `trial`, whose values are the trials' numbers in the study.

    Raises:
        SearchError: a range that is none, no trials, several rules, a study that goes the wrong way, or no Optuna.
        gdlab.errors.SelectionError: no such metric.
        gdlab.engine.space.SpaceError, ValueError: as `gdlab.sweep`.
    """
    import xarray

    within = read(ranges)
    if trials < 1 or batch < 1:
        raise SearchError(f"trials and batch must be at least 1, not {trials} and {batch}")
    if isinstance(rule, Mapping):
        raise SearchError("a search has one rule: search for each of several, so that each has the same budget")
    study = _new_study(metric, sampler_seed) if study is None else _checked(study, metric)
    batch = min(batch, trials)

    def run_all(points: Sequence[Suggested]) -> "xarray.Dataset":
        return _round(points, within, batch, problem, rule, seeds, chunk, progress, steps=steps, **settings)

    taken: list[tuple[int, Suggested]] = []  # the trials' numbers, and what they tried
    places: dict[Suggested, int] = {}  # where the results of a point are
    rounds: list[xarray.Dataset] = []
    values: list[float] = []
    while len(taken) < trials:
        asked = _ask(study, within, places, batch, trials - len(taken))
        try:
            fresh = [point for point in dict.fromkeys(point for _, point in asked) if point not in places]
            if fresh:
                rounds.append(run_all(fresh))
                values += median(score(rounds[-1], metric)).values.tolist()
                places |= {point: len(places) + index for index, point in enumerate(fresh)}
        except BaseException:
            for trial, _ in asked:
                study.tell(trial, state=_optuna().trial.TrialState.FAIL)
            raise
        for trial, point in asked:
            study.tell(trial, values[places[point]])
        taken += [(trial.number, point) for trial, point in asked]
    data = xarray.concat(rounds, TRIAL, data_vars="minimal", coords="minimal", compat="override", join="exact")
    data = data.isel({TRIAL: [places[point] for _, point in taken]}).assign_coords({TRIAL: [n for n, _ in taken]})
    data.attrs = {name: sum(one.attrs[name] for one in rounds) for name in ("compile_seconds", "run_seconds")}
    return data


def _ask(
    study: "optuna.Study", within: Mapping[str, Range | Choice], known: Container[Suggested], batch: int, most: int
) -> list[tuple["optuna.Trial", Suggested]]:
    """Proposals, at most `most`, until there are `batch` points among them that are not known."""
    asked: list[tuple[optuna.Trial, Suggested]] = []
    fresh: set[Suggested] = set()
    while len(fresh) < batch and len(asked) < min(most, PATIENCE * batch):
        trial = study.ask()
        point = tuple(
            trial.suggest_categorical(name, place.labels)
            if isinstance(place, Choice)
            else trial.suggest_float(name, place.low, place.high, log=place.scale == "log")
            for name, place in within.items()
        )
        asked.append((trial, point))
        fresh |= set() if point in known else {point}
    return asked


def _round(
    points: Sequence[Suggested],
    within: Mapping[str, Range | Choice],
    batch: int,
    problem: ProblemLike,
    rule: RuleLike,
    seeds: int | Sequence[int],
    chunk: int | None,
    progress: "Callable[[Progress], None]",
    **settings: Any,
) -> "xarray.Dataset":
    """The sweep of some points and all seeds, over the dims trial and seed."""
    names = tuple(within)
    choices = [name for name, place in within.items() if isinstance(place, Choice)]
    rows = [*points, *_filling(points, [names.index(name) for name in choices], batch)]
    columns = [
        [place.options[place.labels.index(value)] for value in column] if isinstance(place, Choice) else column
        for place, column in zip(within.values(), zip(*rows, strict=True), strict=True)
    ]
    given = list(zip(*columns, strict=True))
    build, _ = assignment(problem, rule, {names: given, SEED: seeds}, **settings)

    def told_apart(static: Mapping[str, Any]) -> Process:
        # Equal points are one lane to the engine. Those that fill a round up must not be: its shape would change.
        process = build(static)
        return process._replace(names=(*process.names, TRIAL))

    numbered = space({(TRIAL, *names): [(n, *row) for n, row in enumerate(given)], SEED: seeds}, COUNTS)
    data = run(numbered, told_apart, static=(*STATIC, *choices), chunk=chunk, progress=progress)
    return data.swap_dims({data[TRIAL].dims[0]: TRIAL}).isel({TRIAL: slice(len(points))})


def _filling(points: Sequence[Suggested], choices: Sequence[int], batch: int) -> list[Suggested]:
    """Copies of points that bring the runs of each program to one of a few numbers: `batch`, or a power of 2 below."""
    alike: dict[Suggested, list[Suggested]] = {}
    for point in points:
        alike.setdefault(tuple(point[at] for at in choices), []).append(point)
    filling = []
    for group in alike.values():
        width = batch if not choices else min(batch, 1 << (len(group) - 1).bit_length())
        filling += [group[-1]] * (width - len(group))
    return filling


def _new_study(metric: str, sampler_seed: int) -> "optuna.Study":
    optuna = _optuna()
    with warnings.catch_warnings():
        # Proposals of one round must differ though none of them has a value yet (`constant_liar`). The density is one
        # over all hyperparameters, since the best lr depends on the others (`multivariate`): the default of Optuna 5,
        # not of Optuna 4. Before version 5 both options warn that they are experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=sampler_seed, constant_liar=True, multivariate=True)
    return optuna.create_study(sampler=sampler, direction=_direction(metric))


def _checked(study: "optuna.Study", metric: str) -> "optuna.Study":
    if len(study.directions) != 1 or study.direction.name.lower() != _direction(metric):
        goes = " and ".join(direction.name.lower() for direction in study.directions)
        raise SearchError(f"the study's direction is {goes}; for {metric} it must be {_direction(metric)}")
    return study


def _direction(metric: str) -> str:
    return "minimize" if sign(metric) > 0 else "maximize"


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise SearchError('this search needs Optuna, which is not installed: pip install "gdlab[search]"') from error
    return optuna
