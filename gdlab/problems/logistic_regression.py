"""Multinomial logistic regression."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.problems.classification import accuracy, cross_entropy
from gdlab.problems.data import Classified, classified, held_out, on_device, train_size
from gdlab.problems.penalty import with_l2
from gdlab.problems.precision import as_float
from gdlab.types import Array, Params, Problem, maximise


def _examples(data: Any = "breast_cancer", **others: Any) -> int:
    return train_size(data)


@register.problem("logistic_regression", source="Böhning, Ann. Inst. Statist. Math. 44(1), 1992", examples=_examples)
def logistic_regression(data: Classified = "breast_cancer", l2: float = 0.0, spread: float = 0.0) -> Problem:
    """Multinomial logistic regression: loss = mean_i [log(sum_k exp(z_ik)) - z_iy] + l2/2 |w|^2, z = xw + b.

    Two classes also use softmax (scikit-learn's binary form has one weight vector, the difference of these two, and
    the same minimum at half this l2). Params {"b": [classes], "w": [features, classes]}: b starts at 0 and w at
    `spread` times standard normal draws; the intercepts b are not penalised. Metric: `accuracy`.

    `data` is the name of a bundled data set, a path to an `.npz` file with x, y and optionally x_test, y_test, or these
    arrays as a tuple; arrays of the user are not standardised (see `gdlab.problems.data.classified`).

    Facts: `smoothness_bound`, an upper bound on the Hessian's largest eigenvalue at any point of the training loss:
    1/2 lambda_max(X'X / n) + l2, X with a column of ones, since diag(p) - pp' is at most I/2.

    Raises:
        ValueError: invalid data.

    Source: Böhning (1992), for the bound.
    """
    split, classes = classified(data)
    shape = (split.train.x.shape[1], classes)

    def init(key: Array) -> Params:
        noise = jax.random.normal(key, shape, jnp.result_type(float))
        return {"b": jnp.zeros(shape[1:], noise.dtype), "w": as_float(spread) * noise}

    def logits(params: Params, batch: Any) -> Array:
        return batch.x @ params["w"] + params["b"][None]

    return Problem(
        init=init,
        loss=lambda params, batch: with_l2(cross_entropy(logits(params, batch), batch.y), l2, params["w"]),
        data=on_device(split.train),
        eval_data=held_out(split),
        outputs=logits,
        criterion=lambda z, batch: cross_entropy(z, batch.y),
        metrics={"accuracy": maximise(lambda params, batch: accuracy(logits(params, batch), batch.y))},
        facts={"smoothness_bound": 0.5 * as_float(_largest_moment(split.train.x)) + as_float(l2)},
    )


def _largest_moment(x: np.ndarray) -> float:
    """The largest eigenvalue of X'X / n, X = [1, x]."""
    x = np.asarray(x, np.float64)
    return float(np.linalg.norm(np.column_stack([np.ones(len(x)), x]), 2) ** 2 / len(x))
