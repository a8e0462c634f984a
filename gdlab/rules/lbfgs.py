"""L-BFGS (Nocedal, 1980; Liu & Nocedal, 1989). https://doi.org/10.1007/BF01589116"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot, norm, precision
from gdlab.rules.armijo import backtracked
from gdlab.rules.leafwise import each, widen, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates

PAIRS = 10


class LBFGSState(NamedTuple):
    """The last point and gradient, and the differences between those before, in a ring: the oldest is overwritten."""

    step: Array  # t, [] int32: steps taken
    params: PyTree  # x of the step before, at least float32
    grads: PyTree  # g of the step before, at least float32
    moves: PyTree  # s, each leaf [history, *shape], at least float32
    bends: PyTree  # y, each leaf [history, *shape], at least float32
    weights: Array  # 1 / s.y, [history], at least float32; 0 where there is no pair
    newest: Array  # [] int32: where in the ring the latest pair is


@register.rule(
    "lbfgs",
    source="Liu & Nocedal, On the limited memory BFGS method for large scale optimization, 1989",
    url="https://doi.org/10.1007/BF01589116",
    year=1989,
    ranges={"lr": (0.01, 2.0)},
    needs=("params", "value", "value_fn"),
    scope="tree",
    memory=2 + 2 * PAIRS,
    differs="Optax searches by zoom for Wolfe's two conditions, and keeps pairs of negative curvature.",
)
@schedulable
def lbfgs(lr: Hyperparameter = 1.0, line_search: bool = True, history: int | None = None) -> Rule:
    """L-BFGS: u = -a B g, B the inverse Hessian by BFGS from the last `history` pairs s = x - x_last, y = g - g_last.

    BFGS begins at gamma I with gamma = s.y / y.y of the last pair; the first step of all is one of gradient descent, of
    length |g|, or 1 if that is less. A pair with s.y <= 0 is left out. a is the first of lr, lr / 2, lr / 4, ... that
    lowers the loss enough (as in `armijo`, slope 1e-4), or lr itself without `line_search`. Differs from Liu &
    Nocedal, and from optax, whose searches meet Wolfe's curvature condition too, so that s.y > 0.

    `history` (None: 10) is the length of the state's arrays, so no axis of a sweep and no tracer. The state keeps two
    numbers for each parameter and pair.

    Source: Liu & Nocedal (1989), Algorithm 2.1; Nocedal (1980), for the two loops.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = lbfgs(line_search=False)
    >>> updates, _ = rule.update(4.0, rule.init(2.0), 2.0, value=4.0, value_fn=lambda x: x**2)
    >>> float(updates)
    -1.0
    """
    pairs = PAIRS if history is None else history

    def init(params: Params) -> LBFGSState:
        none = zeros(params)
        stack = jax.tree.map(lambda leaf: jnp.zeros((pairs, *leaf.shape), leaf.dtype), none)
        weights, zero = jnp.zeros(pairs, precision(none)), jnp.zeros([], jnp.int32)
        return LBFGSState(zero, none, none, stack, stack, weights, zero + pairs - 1)

    def update(
        grads: Grads,
        state: LBFGSState,
        params: Params | None = None,
        *,
        value: Array,
        value_fn: Callable[[Params], Array],
        **extra: Any,
    ) -> tuple[Updates, LBFGSState]:
        if params is None:
            raise ValueError("lbfgs compares points: update(grads, state, params) needs the parameters")
        g, known = widen(grads), _with_pair(state, grads, params)
        direction = each(lambda d: -d, _product(known, g))
        if not line_search:
            return each(lambda _, d, lr: lr * d, grads, direction, lr=lr), known
        descent = dot(g, direction)
        a = backtracked(value_fn, params, value, direction, descent, lr=lr, shrink=0.5, slope=1e-4)
        return each(lambda _, d, a: a * d, grads, direction, a=a), known

    return Rule(init, update)


def _with_pair(state: LBFGSState, grads: Grads, params: Params) -> LBFGSState:
    """The state with this step's pair, if there is one of positive curvature, in the place of the oldest."""
    s = each(lambda old, x: x - old, state.params, params)
    y = each(lambda old, g: g - old, state.grads, grads)
    curvature = dot(s, y)
    kept = (state.step > 0) & (curvature > 0)

    newest = jnp.where(kept, (state.newest + 1) % len(state.weights), state.newest)

    def pushed(ring: Array, latest: Array) -> Array:
        return ring.at[newest].set(jnp.where(kept, latest, ring[newest]))

    return LBFGSState(
        optax.safe_increment(state.step),
        each(lambda old, x: x, state.params, params),
        each(lambda old, g: g, state.grads, grads),
        jax.tree.map(pushed, state.moves, s),
        jax.tree.map(pushed, state.bends, y),
        pushed(state.weights, (1 / jnp.where(kept, curvature, 1)).astype(state.weights.dtype)),
        newest,
    )


def _product(state: LBFGSState, g: PyTree) -> PyTree:
    """B g, by the two loops. A place without a pair has s = y = 0 and weight 0, and changes nothing."""
    history = len(state.weights)
    places = (state.newest - jnp.arange(history, dtype=jnp.int32)) % history  # the latest first

    def pair(place: Array) -> tuple[PyTree, PyTree, Array]:
        rings = (state.moves, state.bends, state.weights)
        s, y, weight = jax.tree.map(lambda ring: ring[place], rings)
        return s, y, weight

    def down(q: PyTree, place: Array) -> tuple[PyTree, Array]:
        s, y, weight = pair(place)
        alpha = weight * dot(s, q)
        return each(lambda q, y, c: q - c * y, q, y, c=alpha), alpha

    q, alphas = jax.lax.scan(down, g, places)
    _, latest, curved = pair(state.newest)
    square, size = dot(latest, latest), norm(g)
    bent = (curved > 0) & (square > 0)
    gamma = jnp.where(bent, 1 / jnp.where(bent, curved * square, 1), 1 / jnp.maximum(size, 1))

    def up(r: PyTree, at: tuple[Array, Array]) -> tuple[PyTree, None]:
        place, alpha = at
        s, y, weight = pair(place)
        return each(lambda r, s, c: r + c * s, r, s, c=alpha - weight * dot(y, r)), None

    scaled = each(lambda q, gamma: gamma * q, q, gamma=gamma)
    return jax.lax.scan(up, scaled, (places, alphas), reverse=True)[0]
