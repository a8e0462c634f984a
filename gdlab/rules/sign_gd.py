"""Sign descent (Bernstein et al., 2018). https://arxiv.org/abs/1802.04434"""

from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.leafwise import each
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Grads, Params, Rule, State, Updates


@register.rule(
    "sign_gd",
    source="Bernstein, Wang, Azizzadenesheli & Anandkumar, signSGD: compressed optimisation, 2018, Algorithm 1",
    url="https://arxiv.org/abs/1802.04434",
    year=2018,
    ranges={"lr": (1e-5, 1.0)},
    memory=0,
    optax="sign_sgd",
)
@schedulable
def sign_gd(lr: Hyperparameter = 1e-3) -> Rule:
    """Sign descent: u = -lr sign(g), where sign(0) = 0.

    Every coordinate with a gradient other than 0 moves by lr, whatever the size of its gradient. Near a minimum the
    parameters oscillate within lr of it unless lr decays. Sign descent is Adam with b1 = b2 = eps = 0, and steepest
    descent in the maximum norm without the factor |g|_1.

    Source: Bernstein et al. (2018), Algorithm 1.

    >>> rule = sign_gd(lr=0.5)
    >>> updates, state = rule.update(-3.0, rule.init(1.0))
    >>> float(updates)
    0.5
    """

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        return each(lambda g, lr: -lr * jnp.sign(g), grads, lr=lr), state

    return Rule(optax.init_empty_state, update)
