"""L-BFGS (Nocedal, 1980; Liu & Nocedal, 1989). https://doi.org/10.1007/BF01589116"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot, norm, precision
from gdlab.rules.armijo import backtracking
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, widen, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates

HISTORY = 10  # pairs


class LBFGSState(NamedTuple):
    """The previous point and gradient, and ring buffers of the differences between successive points and gradients."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    params: PyTree  # x of the previous step, at least float32
    grads: PyTree  # g of the previous step, at least float32
    param_diffs: PyTree  # s, each leaf [history, *shape], at least float32
    grad_diffs: PyTree  # y, each leaf [history, *shape], at least float32
    weights: Array  # 1 / s.y, [history], at least float32; 0 for an empty slot
    newest: Array  # [] int32: the slot of the latest pair


@register.rule(
    "lbfgs",
    source="Liu & Nocedal, On the limited memory BFGS method for large scale optimization, 1989",
    url="https://doi.org/10.1007/BF01589116",
    year=1989,
    ranges={"lr": (0.01, 2.0)},
    needs=("params", "value", "value_fn"),
    scope="tree",
    memory=2 + 2 * HISTORY,
    differs="Optax has a zoom line search for both Wolfe conditions, and also stores pairs with negative curvature.",
)
@schedulable
def lbfgs(lr: Hyperparameter = 1.0, line_search: bool = True, history: int | None = None) -> Rule:
    """L-BFGS: u = -a B g, with B the BFGS inverse Hessian of the last `history` pairs s = x - x_last, y = g - g_last.

    BFGS starts from gamma I with gamma = s.y / y.y of the last pair. The first step is gradient descent with step
    length min(|g|, 1). Pairs with s.y <= 0 are not stored. a is the first of lr, lr / 2, lr / 4, ... that meets
    Armijo's condition (see `armijo`, with slope 1e-4); without `line_search`, a = lr. Differs from Liu & Nocedal, and
    from optax, whose line searches also meet Wolfe's curvature condition, which gives s.y > 0.

    `history` (None: 10) is the size of arrays in the state: it can't be traced. The state has 2 history + 2 numbers per
    parameter.

    Source: Liu & Nocedal (1989), Algorithm 2.1; Nocedal (1980), for the two loops.

    >>> rule = lbfgs(line_search=False)
    >>> updates, _ = rule.update(4.0, rule.init(2.0), 2.0, value=4.0, value_fn=lambda x: x**2)
    >>> float(updates)
    -1.0
    """
    size = HISTORY if history is None else history

    def init(params: Params) -> LBFGSState:
        zero = zeros(params)
        ring = jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape), leaf.dtype), zero)
        weights, count = jnp.zeros(size, precision(zero)), jnp.zeros([], jnp.int32)
        return LBFGSState(count, zero, zero, ring, ring, weights, count + size - 1)

    @requires_extras("lbfgs")
    def update(
        grads: Grads,
        state: LBFGSState,
        params: Params,
        *,
        value: Array,
        value_fn: Callable[[Params], Array],
        **extra: Any,
    ) -> tuple[Updates, LBFGSState]:
        g, state = widen(grads), _with_pair(state, grads, params)
        direction = each(lambda d: -d, _product(state, g))
        if not line_search:
            return each(lambda _, d, lr: lr * d, grads, direction, lr=lr), state
        a = backtracking(value_fn, params, value, direction, dot(g, direction), lr=lr, shrink=0.5, slope=1e-4)
        return each(lambda _, d, a: a * d, grads, direction, a=a), state

    return Rule(init, update)


def _with_pair(state: LBFGSState, grads: Grads, params: Params) -> LBFGSState:
    """The state after this step. If the pair (s, y) of this step has s.y > 0, it replaces the oldest pair."""
    s = each(lambda old, x: x - old, state.params, params)
    y = each(lambda old, g: g - old, state.grads, grads)
    curvature = dot(s, y)
    kept = (state.count > 0) & (curvature > 0)
    newest = jnp.where(kept, (state.newest + 1) % len(state.weights), state.newest)

    def push(ring: Array, latest: Array) -> Array:
        return ring.at[newest].set(jnp.where(kept, latest, ring[newest]))

    return LBFGSState(
        optax.safe_increment(state.count),
        each(lambda old, x: x, state.params, params),
        each(lambda old, g: g, state.grads, grads),
        jax.tree.map(push, state.param_diffs, s),
        jax.tree.map(push, state.grad_diffs, y),
        push(state.weights, (1 / jnp.where(kept, curvature, 1)).astype(state.weights.dtype)),
        newest,
    )


def _product(state: LBFGSState, g: PyTree) -> PyTree:
    """B g, by the two-loop recursion. An empty slot, with s = y = 0 and weight 0, has no effect."""
    history = len(state.weights)
    slots = (state.newest - jnp.arange(history, dtype=jnp.int32)) % history  # the latest pair first

    def pair(slot: Array) -> tuple[PyTree, PyTree, Array]:
        return jax.tree.map(lambda ring: ring[slot], (state.param_diffs, state.grad_diffs, state.weights))

    def backward(q: PyTree, slot: Array) -> tuple[PyTree, Array]:
        s, y, weight = pair(slot)
        alpha = weight * dot(s, q)
        return each(lambda q, y, c: q - c * y, q, y, c=alpha), alpha

    q, alphas = jax.lax.scan(backward, g, slots)
    _, y, weight = pair(state.newest)
    square = dot(y, y)
    curved = (weight > 0) & (square > 0)
    gamma = jnp.where(curved, 1 / jnp.where(curved, weight * square, 1), 1 / jnp.maximum(norm(g), 1))

    def forward(r: PyTree, slot_and_alpha: tuple[Array, Array]) -> tuple[PyTree, None]:
        slot, alpha = slot_and_alpha
        s, y, weight = pair(slot)
        return each(lambda r, s, c: r + c * s, r, s, c=alpha - weight * dot(y, r)), None

    scaled = each(lambda q, gamma: gamma * q, q, gamma=gamma)
    return jax.lax.scan(forward, scaled, (slots, alphas), reverse=True)[0]
