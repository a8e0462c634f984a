"""Adafactor (Shazeer & Stern, 2018). https://arxiv.org/abs/1804.04235"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, widen
from gdlab.rules.matrices import unfold
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AdafactorState(NamedTuple):
    """Row sums and column sums of the average of squared gradients, at least float32.

    A leaf unfolds to [rows, columns] (`matrices.unfold`).
    """

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    rows: PyTree  # R, [rows]; for a vector or a scalar the average itself, in its shape
    columns: PyTree  # C, [columns]; for a vector or a scalar empty, [0]


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
    differs="Optax has a constant lr in place of min(lr, 1 / sqrt(t)), and factors only leaves of at least 128 by 128.",
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

    R and C are the row sums and the column sums of a moving average of g^2 + eps, in which the gradient of step t = 1,
    2, ... has the weight t^-decay_power. The step size a = max(least_scale, rms(x)) min(lr, 1 / sqrt(t)) is relative to
    the size of the leaf x, unless rms(x) is below least_scale; rms is the root mean square. There is no momentum.

    The state has m + n numbers for a matrix [m, n]; the registered `memory`, in numbers per parameter, is 0. A leaf
    with more axes [..., m, n] is unfolded to [... m, n]. A vector or a scalar is not factored: V is the average itself.
    eps must be above 0 where the gradient of a whole row or column is 0.

    Source: Shazeer & Stern (2018), Algorithms 4 and 5, with eps1 = eps, eps2 = least_scale and d = clip.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> rule = adafactor(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(2.0), 2.0)
    >>> float(updates)
    -1.0
    """

    def average(total: Array, g: Array, *, t: Array, decay_power: Array, eps: Array, axis: int) -> Array:
        weight = t**-decay_power
        square = g**2 + eps
        return (1 - weight) * total + weight * (square if g.ndim < 2 else jnp.sum(unfold(square), axis=axis))

    def row_sums(total: Array, g: Array, **numbers: Array) -> Array:
        return average(total, g, axis=1, **numbers)

    def column_sums(total: Array, g: Array, **numbers: Array) -> Array:
        return total if g.ndim < 2 else average(total, g, axis=0, **numbers)

    def formula(
        g: Array, r: Array, c: Array, x: Array, *, t: Array, lr: Array, clip: Array, least_scale: Array
    ) -> Array:
        if g.ndim < 2:
            direction = g / jnp.sqrt(r)
        else:
            # The root of each factor separately: the product of the factors can underflow.
            share = jnp.sqrt(r / jnp.sum(r))
            direction = (unfold(g) / share[:, None] / jnp.sqrt(c)[None, :]).reshape(g.shape)
        size = jnp.maximum(least_scale, _rms(x)) * jnp.minimum(lr, 1 / jnp.sqrt(t))
        return -size * direction / jnp.maximum(1, _rms(direction) / clip)

    def init(params: Params) -> AdafactorState:
        wide = widen(params)
        rows = jax.tree.map(lambda x: jnp.zeros(x.shape if x.ndim < 2 else unfold(x).shape[:1], x.dtype), wide)
        columns = jax.tree.map(lambda x: jnp.zeros((0,) if x.ndim < 2 else x.shape[-1:], x.dtype), wide)
        return AdafactorState(jnp.zeros([], jnp.int32), rows, columns)

    @requires_extras("adafactor")
    def update(grads: Grads, state: AdafactorState, params: Params, **extra: Any) -> tuple[Updates, AdafactorState]:
        count = optax.safe_increment(state.count)
        past = {"t": count, "decay_power": decay_power, "eps": eps}
        r, c = each(row_sums, state.rows, grads, **past), each(column_sums, state.columns, grads, **past)
        numbers = {"t": count, "lr": lr, "clip": clip, "least_scale": least_scale}
        return each(formula, grads, r, c, params, **numbers), AdafactorState(count, r, c)

    return Rule(init, update)


def _rms(x: Array) -> Array:
    return norm(x).astype(x.dtype) / math.sqrt(max(x.size, 1))
