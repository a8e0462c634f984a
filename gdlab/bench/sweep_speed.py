"""Speed of sweeps: the engine against hand-written programs, a table per task."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from gdlab.bench.comparison import Tell, Timing, compare, ratio
from gdlab.bench.jax_contestants import in_jax
from gdlab.bench.matmul_peak import matmul_peak
from gdlab.bench.table import Measured, Table, figures
from gdlab.bench.task import BenchTask, count
from gdlab.bench.torch_contestants import in_torch, torch_installed

HEADER = (
    "contestant",
    "runs",
    "seconds",
    "first call, s",
    "first / engine's",
    "updates/s",
    "GFLOP/s",
    "of peak",
    "kernels / step",
    "time / engine's",
    "apart",
)
# These two columns are omitted for tasks without an operation count.
COUNTED = slice(6, 8)


class Comparison(NamedTuple):
    """A task, the timings of the contestants, and the peak speed of the machine in GFLOP/s at the same time."""

    task: BenchTask
    timings: Sequence[Timing]
    peak: float


def sweep_speed(
    tasks: Sequence[Callable[[], BenchTask]], repeats: int, tell: Tell = lambda text: None
) -> Iterator[Measured]:
    """Measure the tasks, one after the other."""
    for make in tasks:
        comparison = _comparison(make(), repeats, tell)
        yield Measured(table_of(comparison, repeats), record_of(comparison))


def _comparison(task: BenchTask, repeats: int, tell: Tell) -> Comparison:
    contestants = in_jax(task) + (in_torch(task) if torch_installed() else [])
    before = matmul_peak()
    timings = compare(contestants, repeats, lambda text: tell(f"{task.name}: {text}"))
    return Comparison(task, timings, max(before, matmul_peak()))


def gflops(comparison: Comparison, timing: Timing) -> float:
    """Speed in GFLOP/s; NaN without an operation count or if the contestant failed."""
    task = comparison.task
    if task.flops is None:
        return float("nan")
    return task.flops * count(task) / timing.median / 1e9


def table_of(comparison: Comparison, repeats: int) -> Table:
    """The table, with a row per contestant."""
    task, engine = comparison.task, comparison.timings[0]
    total = count(task)
    columns = [i for i in range(len(HEADER)) if task.flops is not None or i not in range(*COUNTED.indices(len(HEADER)))]
    rows = []
    for one in comparison.timings:
        if one.failure:
            rows.append((one.name, "-", one.failure, *("-" for _ in columns[3:])))
            continue
        speed = gflops(comparison, one)
        cells = (
            one.name,
            f"{one.runs:,}" if one.runs == total else f"{one.runs:,} of {total:,}, scaled",
            figures(one.median),
            figures(one.first_seconds),
            f"{one.first_seconds / engine.first_seconds:.2f}",
            figures(total * task.steps / one.median),
            figures(speed),
            f"{100 * speed / comparison.peak:.1f} %",
            "-" if one.kernels_per_step is None else f"{one.kernels_per_step:,}",
            f"{ratio(one, engine):.2f}",
            f"{one.apart:.0e}",
        )
        rows.append(tuple(cells[i] for i in columns))
    title = f"{task.name}: {task.words}; {total:,} runs of {task.steps:,} steps"
    peak = f" Float32 matrix product on this machine at the same time: {figures(comparison.peak)} GFLOP/s."
    note = f"Medians of {repeats}." + (peak if task.flops is not None else "")
    missing = () if torch_installed() else ("PyTorch is not installed: pip install gdlab[bench]",)
    return Table(title, tuple(HEADER[i] for i in columns), rows, (note, *missing))


def record_of(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data."""
    task = comparison.task
    timings = [
        {
            **one._asdict(),
            "median_seconds": one.median,
            "gflops": gflops(comparison, one),
            "ratio": ratio(one, comparison.timings[0]),
            "first_ratio": one.first_seconds / comparison.timings[0].first_seconds,
        }
        for one in comparison.timings
    ]
    return {
        "work": task.name,
        "words": task.words,
        "runs": count(task),
        "steps": task.steps,
        "flops_per_run": task.flops,
        "matmul_peak_gflops": comparison.peak,
        "contestants": timings,
    }
