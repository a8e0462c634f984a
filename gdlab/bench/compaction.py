"""Time saved by removing diverged runs, in a sweep in which half of the runs diverge."""

from typing import Any

import numpy as np

from gdlab.bench.comparison import Contestant, Tell, Timing, compare, ratio
from gdlab.bench.jax_contestants import by_engine, sweeping
from gdlab.bench.table import Measured, Table, figures
from gdlab.bench.task import BenchTask, count
from gdlab.bench.tasks.mlp import mlp
from gdlab.engine.axes import log
from gdlab.types import Stop

# The initial loss of the network is between 2 and 3.
STOP = Stop(bound=100.0)
HEADER = ("contestant", "runs", "seconds", "time / engine's", "apart")


def half_diverging(rates: int = 256, steps: int = 200) -> BenchTask:
    """The `mlp` task with half of the learning rates far too high: those runs exceed the bound in one or two steps."""
    sound = rates // 2
    task = mlp(sound, steps)
    return task._replace(over={"lr": np.concatenate([task.over["lr"], log(1e3, 1e5, rates - sound)])}, flops=None)


def compaction(repeats: int, tell: Tell = lambda text: None, rates: int = 256, steps: int = 200) -> Measured:
    """Compare the engine, the engine without compaction, and the engine on the runs that do not diverge."""
    task = half_diverging(rates, steps)
    sound = np.arange(rates // 2)
    alone = task._replace(over={"lr": task.over["lr"][sound]})
    kept: dict[str, Any] = {"compact": False}
    timings = compare(
        [
            Contestant("engine", lambda: by_engine(task, stop=STOP)),
            Contestant("diverged runs kept", lambda: by_engine(task, stop=STOP, **kept)),
            Contestant("without those that diverge", lambda: by_engine(alone, stop=STOP), runs=sound),
        ],
        repeats,
        tell,
    )
    ended = sweeping(task, stop=STOP)()["diverged_at"].values
    diverged = ended[ended >= 0]
    by = f" by step {diverged.max()}" if len(diverged) else ""
    note = f"Medians of {repeats}. {len(diverged)} of {count(task)} runs diverged{by} of {steps}."
    title = f"compaction: {task.words}; {count(task)} runs of {steps} steps"
    return Measured(
        Table(title, HEADER, [_row(one, timings[0]) for one in timings], (note,)),
        {
            "runs": count(task),
            "steps": steps,
            "diverged_at": ended.tolist(),
            "contestants": [{**one._asdict(), "ratio": ratio(one, timings[0])} for one in timings],
        },
    )


def _row(one: Timing, engine: Timing) -> tuple[str, ...]:
    return (one.name, f"{one.runs:,}", figures(one.median), f"{ratio(one, engine):.2f}", f"{one.apart:.0e}")
