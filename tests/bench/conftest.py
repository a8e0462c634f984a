"""The tasks of the bench in small sizes."""

import pytest

from gdlab.bench.jax_contestants import by_engine
from gdlab.bench.tasks import TASKS

SMALL = {
    "mlp": {"rates": 3, "steps": 5},
    "tanh": {"rates": 4, "steps": 6},
    "rosenbrock": {"rates": 3, "betas": 4, "steps": 40},
    "cnn": {"rates": 2, "steps": 3},
    "gru": {"rates": 2, "steps": 3},
    "transformer": {"rates": 2, "steps": 2, "blocks": 1},
    "wide": {"rates": 2, "steps": 2},
}


@pytest.fixture(params=TASKS, scope="module")
def small(request):
    """Each task."""
    return TASKS[request.param](**SMALL[request.param])


@pytest.fixture(scope="module")
def engine(small):
    """The final losses of the engine for that task."""
    return by_engine(small)()
