"""AdaGrad (Duchi, Hazan, Singer, 2011). https://jmlr.org/papers/v12/duchi11a.html"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, full, like
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, Rule, Updates


class AdagradState(NamedTuple):
    """The sum of squared gradients."""

    sum_of_squares: Params  # like the params, at least float32


@register.rule(
    "adagrad", source="Duchi et al. 2011, Figure 1", year=2011, ranges={"lr": (1e-4, 1.0), "eps": (1e-10, 1e-4)}
)
@schedulable
def adagrad(lr: float = 0.1, eps: float = 1e-8, initial: float = 0.0) -> Rule:
    """AdaGrad, diagonal: s <- s + g^2, x <- x - lr g / (sqrt(s) + eps), with s = `initial` at the start.

    Epsilon stands outside the root, as in the paper and in PyTorch. Optax puts it inside and starts at 0.1:
    its `adagrad(lr)` is -lr g / sqrt(s + 1e-7), with s = 0.1 at the start.

    >>> import jax.numpy as jnp
    >>> rule = adagrad(lr=0.5, eps=0.0)
    >>> rule.update(jnp.array([3.0]), rule.init(jnp.array([0.0])))[0].tolist()
    [-0.5]
    """

    def update(
        grads: Grads, state: AdagradState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AdagradState]:
        total = each(lambda s, g: s + g * g, state.sum_of_squares, grads)
        updates = each(lambda s, g, lr, eps: -lr * _ratio(g, jnp.sqrt(s) + eps), total, grads, lr=lr, eps=eps)
        return like(updates, grads), AdagradState(total)

    return Rule(lambda params: AdagradState(full(params, initial)), update)


def _ratio(g: Any, scale: Any) -> Any:
    """g / scale, and 0 where both are: a coordinate that never had a gradient does not move."""
    return jnp.where(scale == 0, 0, g / jnp.where(scale == 0, 1, scale))
