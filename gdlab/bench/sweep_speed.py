"""How fast sweeps are: the engine beside what people write by hand, each piece of work a table."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from gdlab.bench.contest import Standing, Tell, race, ratio
from gdlab.bench.jax_contestants import in_jax
from gdlab.bench.matmul_peak import matmul_peak
from gdlab.bench.table import Measured, Table, figures
from gdlab.bench.task import Task, count
from gdlab.bench.torch_contestants import in_torch, torch_is_there

HEADER = (
    "contestant",
    "runs",
    "seconds",
    "first call, s",
    "updates/s",
    "GFLOP/s",
    "of peak",
    "time / engine's",
    "apart",
)
# Where a task has no operations to count, these two columns are left out.
COUNTED = slice(5, 7)


class Contest(NamedTuple):
    """A task, what the contestants took, and the machine's peak in GFLOP/s while they ran."""

    task: Task
    standings: Sequence[Standing]
    peak: float


def sweep_speed(
    tasks: Sequence[Callable[[], Task]], repeats: int, tell: Tell = lambda text: None
) -> Iterator[Measured]:
    """Measure one task after another."""
    for make in tasks:
        contest = _contest(make(), repeats, tell)
        yield Measured(table_of(contest, repeats), record_of(contest))


def _contest(task: Task, repeats: int, tell: Tell) -> Contest:
    contestants = in_jax(task) + (in_torch(task) if torch_is_there() else [])
    before = matmul_peak()
    standings = race(contestants, repeats, lambda text: tell(f"{task.name}: {text}"))
    return Contest(task, standings, max(before, matmul_peak()))


def gflops(contest: Contest, standing: Standing) -> float:
    """Operations a second, in units of 1e9; NaN where none are counted, or it failed."""
    task = contest.task
    if task.flops is None:
        return float("nan")
    return task.flops * count(task) / standing.median / 1e9


def table_of(contest: Contest, repeats: int) -> Table:
    """A row for each contestant."""
    task, engine = contest.task, contest.standings[0]
    total = count(task)
    columns = [i for i in range(len(HEADER)) if task.flops is not None or i not in range(*COUNTED.indices(len(HEADER)))]
    rows = []
    for one in contest.standings:
        if one.failure:
            rows.append((one.name, "-", one.failure, *("-" for _ in columns[3:])))
            continue
        speed = gflops(contest, one)
        cells = (
            one.name,
            f"{one.runs:,}" if one.runs == total else f"{one.runs:,} of {total:,}, scaled",
            figures(one.median),
            figures(one.first_seconds),
            figures(total * task.steps / one.median),
            figures(speed),
            f"{100 * speed / contest.peak:.1f} %",
            f"{ratio(one, engine):.2f}",
            f"{one.apart:.0e}",
        )
        rows.append(tuple(cells[i] for i in columns))
    title = f"{task.name}: {task.words}; {total:,} runs of {task.steps:,} steps"
    peak = f" The machine's own float32 matrix product in the same minutes: {figures(contest.peak)} GFLOP/s."
    note = f"Medians of {repeats}, by turns." + (peak if task.flops is not None else "")
    missing = () if torch_is_there() else ("PyTorch is not installed: pip install gdlab[bench] adds it.",)
    return Table(title, tuple(HEADER[i] for i in columns), rows, (note, *missing))


def record_of(contest: Contest) -> dict[str, Any]:
    """All of it as plain data."""
    task = contest.task
    standings = [
        {
            **one._asdict(),
            "median_seconds": one.median,
            "gflops": gflops(contest, one),
            "ratio": ratio(one, contest.standings[0]),
        }
        for one in contest.standings
    ]
    return {
        "work": task.name,
        "words": task.words,
        "runs": count(task),
        "steps": task.steps,
        "flops_per_run": task.flops,
        "matmul_peak_gflops": contest.peak,
        "contestants": standings,
    }
