"""Problems: functions to minimise. Importing this package registers every problem under the name of its factory."""

from gdlab.problems.linear_regression import linear_regression
from gdlab.problems.logistic_regression import logistic_regression
from gdlab.problems.mlp import mlp
from gdlab.problems.multimodal_2d import ackley, himmelblau, rastrigin, styblinski_tang
from gdlab.problems.quadratic import quadratic
from gdlab.problems.saddles_2d import monkey_saddle, saddle
from gdlab.problems.valleys_2d import beale, quadratic_2d, rosenbrock

__all__ = [
    "ackley",
    "beale",
    "himmelblau",
    "linear_regression",
    "logistic_regression",
    "mlp",
    "monkey_saddle",
    "quadratic",
    "quadratic_2d",
    "rastrigin",
    "rosenbrock",
    "saddle",
    "styblinski_tang",
]
