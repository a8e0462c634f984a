"""Multinomial logistic regression."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.problems.classification import accuracy, cross_entropy
from gdlab.problems.data import Classified, load, load_classified, on_device, train_size
from gdlab.problems.penalty import with_l2
from gdlab.problems.precision import as_float
from gdlab.types import Array, Params, Problem, maximise


def _examples(data: str = "breast_cancer", **others: Any) -> int:
    return train_size(data)


@register.problem("logistic_regression", source="Böhning, Ann. Inst. Statist. Math. 44(1), 1992", examples=_examples)
def logistic_regression(data: Classified = "breast_cancer", l2: float = 0.0, spread: float = 0.0) -> Problem:
    """Multinomial logistic regression: loss = mean_i [log(sum_k exp(z_ik)) - z_iy] + l2/2 |w|^2, z = xw + b.

    Softmax for two classes as well (scikit-learn's binary form has one weight vector, the difference of these two, and
    the same minimum at half this l2). Params {"b": [classes], "w": [features, classes]}: b from 0 and w from
    `spread` times standard normal draws; the intercepts b are not penalised. Metric: `accuracy`.

    Facts: `smoothness_bound`, an upper bound on the Hessian's largest eigenvalue at any point of the training loss:
    1/2 lambda_max(X'X / n) + l2, X with a column of ones, since diag(p) - pp' is at most I/2.

    Raises:
        ValueError: the data set's name is unknown or its target is not a class.

    Source: Böhning (1992), for the bound.
    """
    split, classes = load_classified(data)
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
        eval_data=on_device(split.test),
        outputs=logits,
        criterion=lambda z, batch: cross_entropy(z, batch.y),
        metrics={"accuracy": maximise(lambda params, batch: accuracy(logits(params, batch), batch.y))},
        facts={"smoothness_bound": 0.5 * as_float(_largest_moment(data)) + as_float(l2)},
    )


@functools.cache
def _largest_moment(data: str) -> float:
    """The largest eigenvalue of X'X / n over the train split."""
    x = np.asarray(load(data).train.x, np.float64)
    return float(np.linalg.norm(np.column_stack([np.ones(len(x)), x]), 2) ** 2 / len(x))
