"""Search with Optuna (Akiba et al., 2019): Optuna proposes points and gdlab runs a batch of them at a time. https://optuna.org"""

import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from gdlab.analysis.selection import SEED, Direction, median, score, sign
from gdlab.engine.evaluate import run
from gdlab.engine.execute import Settings
from gdlab.engine.space import space
from gdlab.search.ranges import Choice, Range, Ranges, SearchError, read
from gdlab.training.sweep import (
    COUNTS,
    STATIC,
    ProblemLike,
    RuleLike,
    assignment,
    mark_directions,
    metric_directions,
)
from gdlab.types import Process

if TYPE_CHECKING:
    import optuna
    import xarray

    from gdlab.engine.progress import Progress

TRIAL = "trial"
# The values of one proposal, in the order of the ranges; the value of a choice is the label of the option.
Suggested: TypeAlias = tuple[Any, ...]
# The maximum number of proposals per round is PROPOSALS * batch: in a small space, most proposals soon are repetitions.
PROPOSALS = 4


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
    """Run `trials` points that Optuna proposes, `batch` at a time, each with all seeds, and report their metric to it.

    A round is one sweep of `batch` points and all seeds. All rounds have the same shape, so only the first one
    compiles: a round with fewer points is padded with copies of its last point, whose results are discarded. Each
    option of a choice (a list in `ranges`) is compiled as a separate program, for 1, 2, 4, ..., `batch` points.

    The value of a trial is the median of `metric` over seeds. If half of the seeds or more diverged, the value is
    infinite, in the worse direction. Such a trial is not reported as failed, since samplers ignore failed trials and
    continue to propose diverging points (when the upper half of a range diverged, 73% of TPE's proposals after the
    first round were in it, compared with 19% with infinite values). TPE only ranks trials, and ranks an infinite value
    last.

    A point that is proposed again is not run again: the new trial has the value and the results of the first trial.

    Args:
        problem, rule: as in `gdlab.sweep`; one rule. To compare rules, search for each.
        ranges: `{name: (low, high)}`, `(low, high, "log" or "linear")` or a list of options; the names are names
            of axes, as in a sweep.
        trials: the total number of trials.
        batch: the number of points per round. The sampler receives results only between rounds.
        steps: the steps of each run.
        seeds: the number of seeds, or the seeds.
        study: the study to continue, with the sampler of that study; by default a new study with Optuna's multivariate
            TPE sampler.
        sampler_seed: the seed of the sampler of a new study.
        metric: the variable to optimise; it is maximised if it is marked with `gdlab.maximise` or its name ends in
            `accuracy`, else minimised.
        chunk, progress: as in `gdlab.sweep`.
        settings: `batch_size`, `sampling`, `every`, `probes` and `stop`, as in `gdlab.sweep`.

    Returns:
        The Dataset of a sweep over the dims `trial` and `seed`. The values of `trial` are the numbers of the trials in
        the study; each hyperparameter is a coordinate along it.

    Raises:
        SearchError: an invalid range, no trials, several rules, a study with another direction, or Optuna is not
            installed.
        gdlab.errors.SelectionError: no such metric.
        gdlab.engine.space.SpaceError, ValueError: as `gdlab.sweep`.
    """
    import xarray

    within = read(ranges)
    if trials < 1 or batch < 1:
        raise SearchError(f"trials and batch must be at least 1, not {trials} and {batch}")
    if isinstance(rule, Mapping):
        raise SearchError("a search takes one rule, not a mapping of rules: search once per rule")
    lows = {name: place.low if isinstance(place, Range) else place.options[0] for name, place in within.items()}
    directions = metric_directions(problem, space({tuple(lows): [tuple(lows.values())]}, COUNTS))
    direction: Direction = directions.get(metric) or ("min" if sign(metric) > 0 else "max")
    study = _new_study(direction, sampler_seed) if study is None else _checked(study, metric, direction)
    batch = min(batch, trials)

    def run_all(points: Sequence[Suggested]) -> "xarray.Dataset":
        return _round(points, within, batch, problem, rule, seeds, chunk, progress, steps=steps, **settings)

    finished: list[tuple[int, Suggested]] = []  # the number and the point of each trial
    places: dict[Suggested, int] = {}  # the index of a point in the concatenated rounds
    rounds: list[xarray.Dataset] = []
    values: list[float] = []
    while len(finished) < trials:
        asked = _ask(study, within, places, batch, trials - len(finished))
        try:
            fresh = [point for point in dict.fromkeys(point for _, point in asked) if point not in places]
            if fresh:
                rounds.append(run_all(fresh))
                values += median(score(rounds[-1], metric, direction=direction)).values.tolist()
                places |= {point: len(places) + index for index, point in enumerate(fresh)}
        except BaseException:
            for trial, _ in asked:
                study.tell(trial, state=_optuna().trial.TrialState.FAIL)
            raise
        for trial, point in asked:
            study.tell(trial, values[places[point]])
        finished += [(trial.number, point) for trial, point in asked]
    data = xarray.concat(rounds, TRIAL, data_vars="minimal", coords="minimal", compat="override", join="exact")
    data = data.isel({TRIAL: [places[point] for _, point in finished]})
    data = data.assign_coords({TRIAL: [number for number, _ in finished]})
    data.attrs = {name: sum(one.attrs[name] for one in rounds) for name in ("compile_seconds", "run_seconds")}
    return mark_directions(data, directions)


def _ask(
    study: "optuna.Study", within: Mapping[str, Range | Choice], known: Container[Suggested], batch: int, most: int
) -> list[tuple["optuna.Trial", Suggested]]:
    """Request proposals until `batch` distinct points that are not in `known` are found, or the limit is reached."""
    asked: list[tuple[optuna.Trial, Suggested]] = []
    fresh: set[Suggested] = set()
    while len(fresh) < batch and len(asked) < min(most, PROPOSALS * batch):
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
    """Run the points with all seeds and return the results over the dims `trial` and `seed`."""
    names = tuple(within)
    choices = [name for name, place in within.items() if isinstance(place, Choice)]
    rows = [*points, *_padding(points, [names.index(name) for name in choices], batch)]
    columns = [
        [place.options[place.labels.index(value)] for value in column] if isinstance(place, Choice) else column
        for place, column in zip(within.values(), zip(*rows, strict=True), strict=True)
    ]
    values = list(zip(*columns, strict=True))
    build, _ = assignment(problem, rule, {names: values, SEED: seeds}, **settings)

    def with_trial(static: Mapping[str, Any]) -> Process:
        # The engine merges equal points into one run. The axis TRIAL keeps padding separate, so that all rounds have
        # the same shape.
        process = build(static)
        return process._replace(names=(*process.names, TRIAL))

    numbered = space({(TRIAL, *names): [(n, *row) for n, row in enumerate(values)], SEED: seeds}, COUNTS)
    data = run(numbered, with_trial, static=(*STATIC, *choices), settings=Settings(chunk=chunk, progress=progress))
    return data.swap_dims({data[TRIAL].dims[0]: TRIAL}).isel({TRIAL: slice(len(points))})


def _padding(points: Sequence[Suggested], choices: Sequence[int], batch: int) -> list[Suggested]:
    """Copies of points that pad each program to `batch` points; with choices, to a power of 2, at most `batch`."""
    by_choice: dict[Suggested, list[Suggested]] = {}
    for point in points:
        by_choice.setdefault(tuple(point[at] for at in choices), []).append(point)
    padding = []
    for group in by_choice.values():
        width = batch if not choices else min(batch, 1 << (len(group) - 1).bit_length())
        padding += [group[-1]] * (width - len(group))
    return padding


_OPTUNA_NAMES = {"min": "minimize", "max": "maximize"}


def _new_study(direction: Direction, sampler_seed: int) -> "optuna.Study":
    optuna = _optuna()
    with warnings.catch_warnings():
        # `constant_liar` makes the proposals of one round differ before any of them has a value. `multivariate` models
        # all hyperparameters jointly, since the best lr depends on the others; it is the default of Optuna 5, not of
        # Optuna 4. Before version 5 both options warn that they are experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=sampler_seed, constant_liar=True, multivariate=True)
    return optuna.create_study(sampler=sampler, direction=_OPTUNA_NAMES[direction])


def _checked(study: "optuna.Study", metric: str, direction: Direction) -> "optuna.Study":
    found, wanted = [one.name.lower() for one in study.directions], _OPTUNA_NAMES[direction]
    if found != [wanted]:
        raise SearchError(f"the study's direction is {' and '.join(found)}; for {metric} it must be {wanted}")
    return study


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise SearchError('optuna_search needs Optuna, which is not installed: pip install "gdlab[search]"') from error
    return optuna
