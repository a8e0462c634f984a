"""Least squares with a ridge penalty."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.problems.data import Examples, Measured, held_out, measured, on_device, train_size
from gdlab.problems.penalty import with_l2
from gdlab.problems.precision import as_float
from gdlab.types import Array, Params, Problem, maximise


def _examples(data: Any = "diabetes", **others: Any) -> int:
    return train_size(data)


@register.problem("linear_regression", source="Hoerl & Kennard, Technometrics 12(1), 1970", examples=_examples)
def linear_regression(data: Measured = "diabetes", l2: float = 0.0) -> Problem:
    """Ridge regression: loss = 1/2 mean_i (x_i'w + b - y_i)^2 + l2/2 |w|^2, with both factors 1/2.

    Params {"b": [], "w": [features]}, from 0; the intercept b is not penalised. Metrics: `mse`, mean (x'w + b - y)^2,
    without half or penalty, and `r2`, 1 - mse / variance of y.

    `data` is the name of a bundled data set, a path to an `.npz` file with x, y and optionally x_test, y_test, or these
    arrays as a tuple; arrays of the user are not standardised (see `gdlab.problems.data.classified`).

    Facts: `hessian`, `smoothness`, `strong_convexity`, `minimum`, `minimisers` [1, 1 + features], all of the training
    loss, with parameters in the order of `jax.flatten_util.ravel_pytree`: b, then w. With S = cov(x) and c = cov(x, y)
    over the training examples, w* = (S + l2 I)^-1 c (the pseudo-inverse where S is singular and l2 = 0) and
    b* = mean(y) - mean(x)'w*.

    Raises:
        ValueError: invalid data.

    Source: Hoerl & Kennard (1970); Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2009), 3.4.1.
    """
    split = measured(data)
    features = split.train.x.shape[1]

    def init(key: Array) -> Params:
        return {"b": as_float(0.0), "w": jnp.zeros(features, jnp.result_type(float))}

    def mse(params: Params, batch: Any) -> Array:
        return jnp.mean((batch.x @ params["w"] + params["b"] - batch.y) ** 2)

    return Problem(
        init=init,
        loss=lambda params, batch: with_l2(0.5 * mse(params, batch), l2, params["w"]),
        data=on_device(split.train),
        eval_data=held_out(split),
        outputs=lambda params, batch: batch.x @ params["w"] + params["b"],
        criterion=lambda z, batch: 0.5 * jnp.mean((z - batch.y) ** 2),
        metrics={"mse": mse, "r2": maximise(lambda params, batch: 1.0 - mse(params, batch) / jnp.var(batch.y))},
        facts=_facts(*_moments(split.train), as_float(l2)),
    )


class _Moments(NamedTuple):
    """Moments of the train split, in float64. S = Q diag(curvatures) Q' is the covariance of x."""

    curvatures: np.ndarray  # [features]
    axes: np.ndarray  # Q, [features, features]
    along: np.ndarray  # Q' cov(x, y), [features]
    mean_x: np.ndarray  # [features]
    mean_y: float
    variance_y: float


def _moments(train: Examples) -> tuple[_Moments, bool]:
    """The moments, and whether the columns of x have mean 0 up to the rounding of float32."""
    x, y = (np.asarray(part, np.float64) for part in train)
    mean_x, mean_y = x.mean(axis=0), y.mean()
    curvatures, axes = np.linalg.eigh((x - mean_x).T @ (x - mean_x) / len(x))
    along = axes.T @ ((x - mean_x).T @ (y - mean_y)) / len(x)
    present = curvatures > len(curvatures) * np.finfo(float).eps * curvatures.max()
    curvatures, along = np.where(present, curvatures, 0.0), np.where(present, along, 0.0)
    centred = bool((np.abs(mean_x) <= 1e-6 * np.abs(x).max(axis=0)).all())
    return _Moments(curvatures, axes, along, mean_x, mean_y, y.var()), centred


# As in gdlab.curvature.one_by_one: batched factorisations can deadlock on several CPU devices (jaxlib 0.10).
@jax.custom_batching.sequential_vmap
def _eigenvalues(symmetric: Array) -> Array:
    return jnp.linalg.eigvalsh(symmetric)


@functools.partial(jax.jit, static_argnums=1)
def _facts(m: _Moments, centred: bool, l2: Array) -> dict[str, Array]:
    """The facts in closed form. l2 may be traced, because the eigenvectors of S do not depend on it."""
    curvatures, axes, along, mean_x = (as_float(a) for a in (m.curvatures, m.axes, m.along, m.mean_x))
    ridge = curvatures + l2
    inverse = jnp.where(ridge > 0, 1 / jnp.where(ridge > 0, ridge, 1), 0)
    w = axes @ (along * inverse)
    covariance = (axes * ridge[None]) @ axes.T
    corner = as_float([[1.0]])
    hessian = jnp.block([[corner, mean_x[None]], [mean_x[:, None], covariance + jnp.outer(mean_x, mean_x)]])
    # If the columns have mean 0, the Hessian is block diagonal and the intercept's curvature, 1, is an eigenvalue.
    eigenvalues = jnp.concatenate([corner[0], ridge]) if centred else _eigenvalues(hessian)
    return {
        "hessian": hessian,
        "smoothness": eigenvalues.max(),
        "strong_convexity": eigenvalues.min(),
        "minimum": 0.5 * (as_float(m.variance_y) - jnp.sum(along**2 * inverse)),
        "minimisers": jnp.concatenate([as_float(m.mean_y)[None] - (mean_x @ w)[None], w])[None],
    }
