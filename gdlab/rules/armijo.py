"""Gradient descent with Armijo's line search (Armijo, 1966). https://doi.org/10.2140/pjm.1966.16.1"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, State, Updates

TRIES = 30


@register.rule(
    "armijo",
    source="Armijo, Minimization of functions having Lipschitz continuous first partial derivatives, 1966",
    url="https://doi.org/10.2140/pjm.1966.16.1",
    year=1966,
    ranges={"lr": (1e-3, 100.0), "shrink": (0.1, 0.9), "slope": (1e-6, 0.5)},
    needs=("params", "value", "value_fn"),
    scope="tree",
    memory=0,
    optax="scale_by_backtracking_linesearch",
    differs="If no trial lowers the loss enough, optax uses the last trial; here the update is 0.",
)
@schedulable
def armijo(
    lr: Hyperparameter = 1.0,
    shrink: Hyperparameter = 0.5,
    slope: Hyperparameter = 1e-4,
    tries: int | None = None,
) -> Rule:
    """Backtracking: u = -a g, with a the first of lr shrink^k, k = 0, 1, ..., with f(x - a g) <= f(x) - slope a |g|^2.

    f is the loss on the step's batch. If none of `tries` trials (None: 30) meets the condition, u = 0, so the loss
    never rises. Derivatives of a run with respect to its hyperparameters treat the accepted k as constant. The paper
    has slope = shrink = 1/2; slope = 1e-4 is Nocedal & Wright's. Differs from optax, which takes the last trial if none
    meets the condition.

    Source: Armijo (1966), Theorem and Corollary 2; Nocedal & Wright, Numerical Optimization (2006), Algorithm 3.1.

    >>> rule = armijo(lr=2.0)
    >>> updates, _ = rule.update(3.0, rule.init(3.0), 3.0, value=4.5, value_fn=lambda x: x**2 / 2)
    >>> float(updates)
    -3.0
    """

    @requires_extras("armijo")
    def update(
        grads: Grads,
        state: State,
        params: Params,
        *,
        value: Array,
        value_fn: Callable[[Params], Array],
        **extra: Any,
    ) -> tuple[Updates, State]:
        d = each(lambda g: -g, widen(grads))
        numbers = {"lr": lr, "shrink": shrink, "slope": slope}
        a = backtracking(value_fn, params, value, d, -dot(d, d), **numbers, tries=tries)
        return each(lambda g, a: -a * g, grads, a=a), state

    return Rule(optax.init_empty_state, update)


def backtracking(
    value_fn: Callable[[Params], Array],
    params: Params,
    value: Array,
    direction: PyTree,
    directional: Array,
    *,
    lr: Hyperparameter,
    shrink: Hyperparameter,
    slope: Hyperparameter,
    tries: int | None = None,
) -> Array:
    """The first a = lr shrink^k, k = 0 ... tries - 1, with f(x + a d) <= f(x) + slope a (g.d); 0 if there is none.

    d is `direction` and g.d is `directional`, the derivative of f along d, in the dtype of the computation. Derivatives
    of a treat k as constant. Under `vmap`, all searches run until the last has ended.
    """
    tries = TRIES if tries is None else tries
    x = jax.tree.map(jnp.asarray, params)

    def search(directional: Array, value: Array, *, lr: Array, shrink: Array, slope: Array) -> Array:
        def length(k: Array) -> Array:
            return lr * shrink ** k.astype(lr.dtype)

        def rejects(k: Array) -> Array:
            constants = (x, direction, directional, value, length(k), slope)
            x0, d, gd, value0, a, c = jax.lax.stop_gradient(constants)
            trial = jax.lax.stop_gradient(value_fn(each(lambda x, d, a: x + a * d, x0, d, a=a)))
            return (k < tries) & ~(jnp.asarray(trial).astype(a.dtype) <= value0 + c * a * gd)

        k = jax.lax.while_loop(rejects, lambda k: k + 1, jnp.zeros([], jnp.int32))
        return jnp.where(k < tries, length(k), 0)

    return each(search, directional, value, lr=lr, shrink=shrink, slope=slope)
