"""Perturbed gradient descent (Jin et al., 2017). https://arxiv.org/abs/1703.00887"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.leafwise import each, normal, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class PerturbedGDState(NamedTuple):
    """When it was perturbed."""

    since: Array  # [] int32: steps since the last perturbation; the largest integer before the first


@register.rule(
    "perturbed_gd",
    source="Jin, Ge, Netrapalli, Kakade & Jordan, How to escape saddle points efficiently, 2017, Algorithm 2",
    url="https://arxiv.org/abs/1703.00887",
    year=2017,
    ranges={"lr": (1e-4, 0.15), "radius": (0.0, 1.0), "threshold": (0.0, 20.0), "wait": (0, 20)},
    needs=("params", "grad_fn", "key"),
    scope="tree",
    memory=0,
)
@schedulable
def perturbed_gd(
    lr: Hyperparameter = 0.1,
    radius: Hyperparameter = 1e-3,
    threshold: Hyperparameter = 1e-3,
    wait: Hyperparameter = 10,
) -> Rule:
    """Perturbed gradient descent: u = xi - lr g(x + xi); xi is uniform in a ball where |g| is small, and 0 elsewhere.

    The ball, of all parameters together, has the given radius; |g| is small at `threshold` or less, and there is a next
    perturbation only after more than `wait` steps. So a saddle is left in a number of steps that hardly grows with the
    dimension. Differs from the paper's Algorithm 2 at its end: that one stops where a perturbation did not lower the
    loss within `wait` steps, this one is perturbed again.

    Source: Jin et al. (2017), Algorithm 2.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = perturbed_gd(lr=0.5)
    >>> updates, _ = rule.update(4.0, rule.init(2.0), 2.0, grad_fn=lambda x: 2.0 * x, key=jax.random.key(0))
    >>> float(updates)
    -2.0
    """

    def init(params: Params) -> PerturbedGDState:
        return PerturbedGDState(jnp.asarray(jnp.iinfo(jnp.int32).max, jnp.int32))

    def update(
        grads: Grads,
        state: PerturbedGDState,
        params: Params | None = None,
        *,
        grad_fn: Callable[[Params], Grads],
        key: Array,
        **extra: Any,
    ) -> tuple[Updates, PerturbedGDState]:
        if params is None:
            raise ValueError("perturbed_gd moves the parameters first: update(grads, state, params) needs them")
        wide = widen(grads)

        def chosen(size: Array, *, radius: Array, threshold: Array, wait: Array) -> Array:
            due = state.since.astype(size.dtype) > wait
            return jnp.where(due & (size <= threshold), radius, -1)

        reach = each(chosen, norm(wide), radius=radius, threshold=threshold, wait=wait)
        perturbed = reach >= 0
        noise = _in_unit_ball(key, wide)
        xi = each(lambda n, reach: jnp.maximum(reach, 0) * n, noise, reach=reach)
        there = each(lambda x, xi: x + xi, params, xi)
        # Alone, a run pays for a second gradient only where it is perturbed.
        g = jax.lax.cond(perturbed, lambda: each(lambda _, g: g, wide, grad_fn(there)), lambda: wide)
        since = jnp.where(perturbed, 1, optax.safe_increment(state.since))
        return each(lambda _, g, xi, lr: xi - lr * g, grads, g, xi, lr=lr), PerturbedGDState(since)

    return Rule(init, update)


def _in_unit_ball(key: Array, like: PyTree) -> PyTree:
    """Uniform in the unit ball of all parameters: a direction, and the d-th root of a uniform number for the length."""
    leaves = jax.tree.leaves(like)
    direction = normal(key, like)
    length = norm(direction)
    share = jax.random.uniform(jax.random.fold_in(key, len(leaves)), (), length.dtype)
    power = 1 / max(sum(leaf.size for leaf in leaves), 1)
    scale = share**power / jnp.where(length > 0, length, 1)
    return each(lambda n, scale: scale * n, direction, scale=scale)
