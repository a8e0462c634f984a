"""Stochastic gradient Langevin dynamics (Welling & Teh, 2011). https://dl.acm.org/doi/10.5555/3104482.3104568"""

from typing import Any

import optax

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, normal, root
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, State, Updates


@register.rule(
    "sgld",
    source="Welling & Teh, Bayesian learning via stochastic gradient Langevin dynamics, 2011, Equation 4",
    url="https://dl.acm.org/doi/10.5555/3104482.3104568",
    year=2011,
    ranges={"lr": (1e-4, 0.15), "temperature": (0.0, 1.0)},
    needs=("key",),
    memory=0,
)
@schedulable
def sgld(lr: Hyperparameter = 0.1, temperature: Hyperparameter = 1e-6) -> Rule:
    """Langevin dynamics: u = -lr g + sqrt(2 lr temperature) xi, with xi standard normal.

    For small lr it samples from the density proportional to exp(-f / temperature). The paper's step of size epsilon on
    the negative log-posterior U of n examples is the step here with f = U / n, temperature = 1 / n and
    lr = n epsilon / 2. In the paper epsilon decreases; here lr may be a schedule. The default temperature is so small
    that the rule descends like gradient descent.

    Source: Welling & Teh (2011), Equation 4.

    >>> import jax
    >>> rule = sgld(lr=0.5, temperature=0.0)
    >>> float(rule.update(3.0, rule.init(1.0), key=jax.random.key(0))[0])
    -1.5
    """

    @requires_extras("sgld")
    def update(
        grads: Grads, state: State, params: Params | None = None, *, key: Array, **extra: Any
    ) -> tuple[Updates, State]:
        def formula(g: Array, noise: Array, *, lr: Array, temperature: Array) -> Array:
            return -lr * g + root(2 * lr * temperature) * noise

        return each(formula, grads, normal(key, grads), lr=lr, temperature=temperature), state

    return Rule(optax.init_empty_state, update)
