"""What it saves to let diverged runs go: a sweep of rates half of which are far too high."""

from typing import Any

import numpy as np

from gdlab.bench.contest import Contestant, Standing, Tell, race, ratio
from gdlab.bench.jax_contestants import by_engine, sweeping
from gdlab.bench.table import Measured, Table, figures
from gdlab.bench.task import Task, count
from gdlab.bench.tasks.mlp import mlp
from gdlab.engine.axes import log
from gdlab.types import Stop

# The network starts at a loss of 2 or 3.
STOP = Stop(bound=100.0)
HEADER = ("contestant", "runs", "seconds", "time / engine's", "apart")


def half_diverging(rates: int = 256, steps: int = 200) -> Task:
    """The `mlp` task, half of its rates ten thousand times too high: those runs pass the bound in a step or two."""
    sound = rates // 2
    task = mlp(sound, steps)
    return task._replace(over={"lr": np.concatenate([task.over["lr"], log(1e3, 1e5, rates - sound)])}, flops=None)


def compaction(repeats: int, tell: Tell = lambda text: None, rates: int = 256, steps: int = 200) -> Measured:
    """The engine, the engine that keeps diverged runs to the end, and the engine without the runs that diverge."""
    task = half_diverging(rates, steps)
    sound = np.arange(rates // 2)
    alone = task._replace(over={"lr": task.over["lr"][sound]})
    kept: dict[str, Any] = {"compact": False}
    standings = race(
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
    note = f"Medians of {repeats}, by turns. {len(diverged)} of {count(task)} runs diverged{by} of {steps}."
    title = f"compaction: {task.words}; {count(task)} runs of {steps} steps"
    return Measured(
        Table(title, HEADER, [_row(one, standings[0]) for one in standings], (note,)),
        {
            "runs": count(task),
            "steps": steps,
            "diverged_at": ended.tolist(),
            "contestants": [{**one._asdict(), "ratio": ratio(one, standings[0])} for one in standings],
        },
    )


def _row(one: Standing, engine: Standing) -> tuple[str, ...]:
    return (one.name, f"{one.runs:,}", figures(one.median), f"{ratio(one, engine):.2f}", f"{one.apart:.0e}")
