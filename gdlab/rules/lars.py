"""LARS, layer-wise adaptive rate scaling (You, Gitman & Ginsburg, 2017). https://arxiv.org/abs/1708.03888"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class LARSState(NamedTuple):
    """The velocity."""

    velocity: PyTree  # v, shaped like params, at least float32; the rates are in it


@register.rule(
    "lars",
    source="You, Gitman & Ginsburg, Large batch training of convolutional networks, 2017, Algorithm 1",
    url="https://arxiv.org/abs/1708.03888",
    year=2017,
    ranges={"lr": (1e-2, 1e3), "momentum": (0.0, 0.99), "weight_decay": (0.0, 0.1), "trust": (1e-4, 0.1)},
    needs=("params",),
    scope="leaf",
    memory=1,
    optax_with={"trust_coefficient": 0.001},
    differs="Optax divides by the norm of g + weight_decay x, the paper by |g| + weight_decay |x|.",
)
@schedulable
def lars(
    lr: Hyperparameter = 1.0,
    momentum: Hyperparameter = 0.9,
    weight_decay: Hyperparameter = 0.0,
    trust: Hyperparameter = 1e-3,
) -> Rule:
    """LARS: v <- momentum v + lr r (g + weight_decay x), u = -v, r = trust |x| / (|g| + weight_decay |x|).

    Leaf by leaf: x of the parameters, g of the gradients, and |.| the Euclidean norm, so that a layer moves by a share
    lr trust of its own length. Where |x| or |g| is 0, r is 1: the paper leaves that open, and optax has it so too. The
    rate is inside the velocity, as in the paper.

    Source: You, Gitman & Ginsburg (2017), Algorithm 1.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = lars(lr=0.5, trust=0.25)
    >>> updates, state = rule.update(3.0, rule.init(2.0), 2.0)
    >>> float(updates)
    -0.25
    """

    def faster(v: Array, g: Array, x: Array, *, lr: Array, momentum: Array, weight_decay: Array, trust: Array) -> Array:
        size, slope = norm(x).astype(v.dtype), norm(g).astype(v.dtype)
        known = (size > 0) & (slope > 0)
        ratio = jnp.where(known, trust * size / (jnp.where(known, slope, 1) + weight_decay * size), 1)
        return momentum * v + lr * ratio * (g + weight_decay * x)

    def init(params: Params) -> LARSState:
        return LARSState(zeros(params))

    def update(grads: Grads, state: LARSState, params: Params | None = None, **extra: Any) -> tuple[Updates, LARSState]:
        if params is None:
            raise ValueError("lars measures the parameters: update(grads, state, params) needs them")
        numbers = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust}
        v = each(faster, state.velocity, grads, params, **numbers)
        return each(lambda _, v: -v, grads, v), LARSState(v)

    return Rule(init, update)
