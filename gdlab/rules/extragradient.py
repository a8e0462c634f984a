"""The extragradient method (Korpelevich, 1976). https://arxiv.org/abs/1901.08511"""

from collections.abc import Callable
from typing import Any

import optax

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Grads, Params, Rule, State, Updates


@register.rule(
    "extragradient",
    source="Korpelevich, The extragradient method for finding saddle points and other problems, 1976",
    url="https://arxiv.org/abs/1901.08511",
    year=1976,
    ranges={"lr": (1e-4, 0.15), "ahead": (0.0, 1.0)},
    needs=("params", "grad_fn"),
    scope="tree",
    memory=0,
)
@schedulable
def extragradient(lr: Hyperparameter = 0.1, ahead: Hyperparameter = 1.0) -> Rule:
    """Extragradient: u = -lr g(x - ahead lr g(x)); for ahead = 1, the gradient at the next point of gradient descent.

    A step takes two gradients of the same batch. On the bilinear game x y it converges for lr < 1, where gradient
    descent (ahead = 0) spirals outwards. Korpelevich has ahead = 1 and a projection, which is left out here because
    there are no constraints. With another `ahead` the two steps have different sizes, as in Hsieh et al.

    Source: Korpelevich (1976); in English: Mokhtari et al. (2020), https://arxiv.org/abs/1901.08511, Section 4; Hsieh,
    Iutzeler, Malick & Mertikopoulos (2020), https://arxiv.org/abs/2003.10162, for `ahead`.

    >>> rule = extragradient(lr=0.25)
    >>> updates, state = rule.update(4.0, rule.init(2.0), 2.0, grad_fn=lambda x: 2.0 * x)
    >>> float(updates)
    -0.5
    """

    @requires_extras("extragradient")
    def update(
        grads: Grads, state: State, params: Params, *, grad_fn: Callable[[Params], Grads], **extra: Any
    ) -> tuple[Updates, State]:
        there = each(lambda x, g, lr, ahead: x - ahead * lr * g, params, widen(grads), lr=lr, ahead=ahead)
        return each(lambda _, g, lr: -lr * g, grads, grad_fn(there), lr=lr), state

    return Rule(optax.init_empty_state, update)
