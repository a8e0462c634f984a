"""Sharpness-aware minimisation (Foret et al., 2021). https://arxiv.org/abs/2010.01412"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, narrow, widen
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, wrapper
from gdlab.types import Array, Grads, Params, Rule, State, Updates


@register.rule(
    "sam",
    source="Foret et al., Sharpness-aware minimization for efficiently improving generalization, 2021, Algorithm 1",
    url="https://arxiv.org/abs/2010.01412",
    year=2021,
    ranges={"lr": (1e-4, 0.2), "rho": (1e-4, 0.5)},
    needs=("params", "grad_fn"),
    scope="tree",
    wraps=True,
    memory=0,
    optax=None,
    differs="Optax performs the ascent and the descent in two calls of `update`, by default on two batches.",
)
@wrapper
def sam(of: Inner = "gd", lr: Hyperparameter = LR, rho: Hyperparameter = 0.05, **hyperparameters: Any) -> Rule:
    """SAM: the inner rule with the gradient at x + rho g / |g|, on the same batch; |g| is over all parameters.

    To first order, that point has the highest loss within a distance of rho from x. A step costs two gradients. With
    constant rho it does not converge to a minimum, but oscillates at a distance of about rho lr L / 2, with L the
    curvature.

    Source: Foret et al. (2021), Algorithm 1 and Equation 2, for p = 2.

    >>> rule = sam(of="gd", lr=0.5, rho=1.0)
    >>> updates, state = rule.update(2.0, rule.init(2.0), 2.0, grad_fn=lambda x: x)
    >>> float(updates)
    -1.5
    """
    inner = inner_rule(of, lr, hyperparameters)

    @requires_extras("sam")
    def update(
        grads: Grads, state: State, params: Params, *, grad_fn: Callable[[Params], Grads], **extra: Any
    ) -> tuple[Updates, State]:
        perturbed = each(_ascend, params, grads, norm=norm(widen(grads)), rho=rho)
        updates, after = inner.update(widen(grad_fn(perturbed)), state, params, grad_fn=grad_fn, **extra)
        return narrow(updates, grads), after

    return Rule(inner.init, update)


def _ascend(x: Array, g: Array, *, norm: Array, rho: Array) -> Array:
    """x + rho g / |g|; x for a gradient of 0."""
    return x + jnp.where(norm > 0, rho / jnp.where(norm > 0, norm, 1), 0) * g
