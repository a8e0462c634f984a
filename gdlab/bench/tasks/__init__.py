"""The pieces of work that the bench knows, by name."""

from collections.abc import Callable, Sequence

from gdlab.bench.task import Task
from gdlab.bench.tasks.cnn import cnn
from gdlab.bench.tasks.gru import gru
from gdlab.bench.tasks.mlp import mlp
from gdlab.bench.tasks.rosenbrock import rosenbrock
from gdlab.bench.tasks.tanh import tanh
from gdlab.errors import UserError

TASKS: dict[str, Callable[..., Task]] = {
    "mlp": mlp,
    "tanh": tanh,
    "rosenbrock": rosenbrock,
    "cnn": cnn,
    "gru": gru,
}


def chosen(names: Sequence[str]) -> list[Callable[..., Task]]:
    """The tasks of these names, in the order of the names; all of them for none.

    Raises:
        UserError: a name that no task has.
    """
    for name in names:
        if name not in TASKS:
            raise UserError(f"--work: the bench knows no {name!r}; it knows {', '.join(TASKS)}")
    return [TASKS[name] for name in names or TASKS]
