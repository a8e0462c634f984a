"""Gradient descent with Armijo's line search (Armijo, 1966). https://doi.org/10.2140/pjm.1966.16.1"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import dot
from gdlab.rules.leafwise import each, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates

TRIES = 30


class ArmijoState(NamedTuple):
    """Every search begins anew."""


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
    differs="Where no trial lowers the loss enough, optax takes the last one, and this rule none.",
)
@schedulable
def armijo(
    lr: Hyperparameter = 1.0,
    shrink: Hyperparameter = 0.5,
    slope: Hyperparameter = 1e-4,
    tries: int | None = None,
) -> Rule:
    """Backtracking: u = -a g, a the first of lr, lr shrink, lr shrink^2, ... with f(x - a g) <= f(x) - slope a |g|^2.

    f is the loss on the step's batch. Where none of `tries` trials (None: 30) lowers it enough, u = 0, so it never
    rises. A run can be differentiated by its numbers, along the trials that it took. In the paper slope and shrink are
    1/2; slope = 1e-4 is Nocedal & Wright's. Differs from optax, which takes the last trial then.

    Source: Armijo (1966), Theorem and Corollary 2; Nocedal & Wright, Numerical Optimization (2006), Algorithm 3.1.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = armijo(lr=2.0)
    >>> updates, _ = rule.update(3.0, rule.init(3.0), 3.0, value=4.5, value_fn=lambda x: x**2 / 2)
    >>> float(updates)
    -3.0
    """

    def init(params: Params) -> ArmijoState:
        return ArmijoState()

    def update(
        grads: Grads,
        state: ArmijoState,
        params: Params | None = None,
        *,
        value: Array,
        value_fn: Callable[[Params], Array],
        **extra: Any,
    ) -> tuple[Updates, ArmijoState]:
        if params is None:
            raise ValueError("armijo tries points out: update(grads, state, params) needs the parameters")
        down = each(lambda g: -g, widen(grads))
        numbers = {"lr": lr, "shrink": shrink, "slope": slope}
        length = backtracked(value_fn, params, value, down, -dot(down, down), **numbers, tries=tries)
        return each(lambda g, a: -a * g, grads, a=length), state

    return Rule(init, update)


def backtracked(
    value_fn: Callable[[Params], Array],
    params: Params,
    value: Array,
    direction: PyTree,
    descent: Array,
    *,
    lr: Hyperparameter,
    shrink: Hyperparameter,
    slope: Hyperparameter,
    tries: int | None = None,
) -> Array:
    """The first a of lr shrink^k, k = 0 ... tries - 1, with f(x + a d) <= f(x) + slope a descent; 0 if there is none.

    `descent` is g.d, in the precision to compute in. What k is can't be differentiated: the derivative is that of
    lr shrink^k. In a batch of searches all go on until the last has ended.
    """
    most = TRIES if tries is None else tries
    x = jax.tree.map(jnp.asarray, params)

    def search(descent: Array, value: Array, *, lr: Array, shrink: Array, slope: Array) -> Array:
        def length(k: Array) -> Array:
            return lr * shrink ** k.astype(lr.dtype)

        def going(k: Array) -> Array:
            here = (x, direction, descent, value, length(k), slope)
            at, along, steep, now, a, share = jax.tree.map(jax.lax.stop_gradient, here)
            there = jax.lax.stop_gradient(value_fn(each(lambda x, d, a: x + a * d, at, along, a=a)))
            enough = jnp.asarray(there).astype(a.dtype) <= now + share * a * steep
            return (k < most) & ~enough

        k = jax.lax.while_loop(going, lambda k: k + 1, jnp.zeros([], jnp.int32))
        return jnp.where(k < most, length(k), 0)

    return each(search, descent, value, lr=lr, shrink=shrink, slope=slope)
