"""Adafactor (Shazeer & Stern, 2018). https://arxiv.org/abs/1804.04235"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.leafwise import each, widen
from gdlab.rules.matrices import matrix
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AdafactorState(NamedTuple):
    """Averages of the squared gradients, summed along rows and along columns; at least float32."""

    step: Array  # t, [] int32: steps taken
    rows: PyTree  # R, [rows] of a matrix; of a vector or a number the averages themselves, in its shape
    columns: PyTree  # C, [columns] of a matrix; of a vector or a number nothing, [0]


@register.rule(
    "adafactor",
    source="Shazeer & Stern, Adafactor: adaptive learning rates with sublinear memory cost, 2018, Algorithms 4 and 5",
    url="https://arxiv.org/abs/1804.04235",
    year=2018,
    ranges={
        "lr": (1e-4, 1.0),
        "decay_power": (0.5, 1.0),
        "clip": (0.2, 2.0),
        "eps": (1e-30, 1e-3),
        "least_scale": (1e-4, 5.0),
    },
    needs=("params",),
    scope="leaf",
    memory=0,
    differs="Optax has a constant rate for min(lr, 1 / sqrt(t)), and factors only leaves of 128 by 128 or more.",
)
@schedulable
def adafactor(
    lr: Hyperparameter = 1e-2,
    decay_power: Hyperparameter = 0.8,
    clip: Hyperparameter = 1.0,
    eps: Hyperparameter = 1e-30,
    least_scale: Hyperparameter = 1e-3,
) -> Rule:
    """Adafactor: u = -a D / max(1, rms(D) / clip), D = g / sqrt(V), V[i, j] = R[i] C[j] / sum(R).

    R and C are the row sums and the column sums of an average of g^2 + eps, in which step t = 1, 2, ... has the weight
    t^-decay_power. The rate a = max(least_scale, rms(x)) min(lr, 1 / sqrt(t)) is relative to the size of the leaf x, as
    rms, the root of the mean square, has it; where least_scale is the larger it is absolute. No momentum.

    A matrix [m, n] costs m + n numbers, which `memory` counts as none. A leaf of more axes is a matrix [first, rest]; a
    vector or a number has the average itself for V. eps must be above 0 where a whole row or column has no gradient.

    Source: Shazeer & Stern (2018), Algorithms 4 and 5, with their eps1, eps2 and d named eps, least_scale and clip.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = adafactor(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(2.0), 2.0)
    >>> float(updates)
    -1.0
    """

    def averaged(total: Array, g: Array, *, t: Array, decay_power: Array, eps: Array, axis: int) -> Array:
        new = t**-decay_power
        square = g**2 + eps
        return (1 - new) * total + new * (square if g.ndim < 2 else jnp.sum(matrix(square), axis=axis))

    def rows(total: Array, g: Array, **numbers: Array) -> Array:
        return averaged(total, g, axis=1, **numbers)

    def columns(total: Array, g: Array, **numbers: Array) -> Array:
        return averaged(total, g, axis=0, **numbers) if g.ndim > 1 else total

    def formula(
        g: Array, r: Array, c: Array, x: Array, *, t: Array, lr: Array, clip: Array, least_scale: Array
    ) -> Array:
        if g.ndim > 1:
            # Roots of the factors apart: their product may be too small for the dtype.
            share = jnp.sqrt(r / jnp.sum(r))
            direction = (matrix(g) / share[:, None] / jnp.sqrt(c)[None, :]).reshape(g.shape)
        else:
            direction = g / jnp.sqrt(r)
        rate = jnp.maximum(least_scale, _rms(x)) * jnp.minimum(lr, 1 / jnp.sqrt(t))
        return -rate * direction / jnp.maximum(1, _rms(direction) / clip)

    def init(params: Params) -> AdafactorState:
        def sums(x: Array) -> Array:
            return jnp.zeros(x.shape if x.ndim < 2 else matrix(x).shape[:1], x.dtype)

        def others(x: Array) -> Array:
            return jnp.zeros((0,) if x.ndim < 2 else matrix(x).shape[1:], x.dtype)

        wide = widen(params)
        return AdafactorState(jnp.zeros([], jnp.int32), jax.tree.map(sums, wide), jax.tree.map(others, wide))

    def update(
        grads: Grads, state: AdafactorState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AdafactorState]:
        if params is None:
            raise ValueError("adafactor measures the parameters: update(grads, state, params) needs them")
        step = optax.safe_increment(state.step)
        past = {"t": step, "decay_power": decay_power, "eps": eps}
        r, c = each(rows, state.rows, grads, **past), each(columns, state.columns, grads, **past)
        numbers = {"t": step, "lr": lr, "clip": clip, "least_scale": least_scale}
        return each(formula, grads, r, c, params, **numbers), AdafactorState(step, r, c)

    return Rule(init, update)


def _rms(x: Array) -> Array:
    return norm(x).astype(x.dtype) / math.sqrt(max(x.size, 1))
