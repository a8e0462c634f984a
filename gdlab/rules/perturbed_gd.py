"""Perturbed gradient descent (Jin et al., 2017). https://arxiv.org/abs/1703.00887"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, normal, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class PerturbedGDState(NamedTuple):
    """The number of steps since the last perturbation."""

    since: Array  # [] int32: steps since the last perturbation; the largest int32 before the first one


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
    """Perturbed gradient descent: u = xi - lr g(x + xi), with xi uniform in a ball where |g| is small, and 0 elsewhere.

    The ball, over all parameters together, has the given radius. x is perturbed where |g| <= threshold and more than
    `wait` steps have passed since the last perturbation. The number of steps to leave a saddle point hardly grows with
    the dimension. Differs from the paper's Algorithm 2, which stops if a perturbation did not lower the loss within
    `wait` steps; here x is perturbed again.

    Source: Jin et al. (2017), Algorithm 2.

    >>> rule = perturbed_gd(lr=0.5)
    >>> updates, _ = rule.update(4.0, rule.init(2.0), 2.0, grad_fn=lambda x: 2.0 * x, key=jax.random.key(0))
    >>> float(updates)
    -2.0
    """

    def init(params: Params) -> PerturbedGDState:
        return PerturbedGDState(jnp.asarray(jnp.iinfo(jnp.int32).max, jnp.int32))

    @requires_extras("perturbed_gd")
    def update(
        grads: Grads,
        state: PerturbedGDState,
        params: Params,
        *,
        grad_fn: Callable[[Params], Grads],
        key: Array,
        **extra: Any,
    ) -> tuple[Updates, PerturbedGDState]:
        g = widen(grads)

        def noise_radius(size: Array, *, radius: Array, threshold: Array, wait: Array) -> Array:
            """The radius of the ball, or -1 for no perturbation."""
            waited = state.since.astype(size.dtype) > wait
            return jnp.where(waited & (size <= threshold), radius, -1)

        r = each(noise_radius, norm(g), radius=radius, threshold=threshold, wait=wait)
        perturbed = r >= 0
        xi = each(lambda n, r: jnp.maximum(r, 0) * n, _in_unit_ball(key, g), r=r)
        x = each(lambda x, xi: x + xi, params, xi)
        # Except under vmap, the second gradient is computed only at a perturbation.
        g = jax.lax.cond(perturbed, lambda g: each(lambda _, new: new, g, grad_fn(x)), lambda g: g, g)
        since = jnp.where(perturbed, 1, optax.safe_increment(state.since))
        return each(lambda _, g, xi, lr: xi - lr * g, grads, g, xi, lr=lr), PerturbedGDState(since)

    return Rule(init, update)


def _in_unit_ball(key: Array, like: PyTree) -> PyTree:
    """A uniform point of the d-dimensional unit ball: a random direction times the d-th root of a uniform number."""
    leaves = jax.tree.leaves(like)
    direction = normal(key, like)
    length = norm(direction)
    volume = jax.random.uniform(jax.random.fold_in(key, len(leaves)), (), length.dtype)
    d = max(sum(leaf.size for leaf in leaves), 1)
    scale = volume ** (1 / d) / jnp.where(length > 0, length, 1)
    return each(lambda n, scale: scale * n, direction, scale=scale)
