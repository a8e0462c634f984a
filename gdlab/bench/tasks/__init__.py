"""The tasks of the bench, by name."""

from collections.abc import Callable, Sequence

from gdlab.bench.task import BenchTask
from gdlab.bench.tasks.cnn import cnn
from gdlab.bench.tasks.gru import gru
from gdlab.bench.tasks.mlp import mlp
from gdlab.bench.tasks.rosenbrock import rosenbrock
from gdlab.bench.tasks.tanh import tanh
from gdlab.bench.tasks.transformer import transformer
from gdlab.bench.tasks.wide import wide
from gdlab.errors import UserError

TASKS: dict[str, Callable[..., BenchTask]] = {
    "mlp": mlp,
    "tanh": tanh,
    "rosenbrock": rosenbrock,
    "cnn": cnn,
    "gru": gru,
    "transformer": transformer,
    "wide": wide,
}


def chosen(names: Sequence[str]) -> list[Callable[..., BenchTask]]:
    """The tasks with these names, in this order; all tasks if there are no names.

    Raises:
        UserError: an unknown name.
    """
    for name in names:
        if name not in TASKS:
            raise UserError(f"--work: there is no task {name!r}; there are {', '.join(TASKS)}")
    return [TASKS[name] for name in names or TASKS]
