"""Annealed Gaussian noise on the gradient (Neelakantan et al., 2015). https://arxiv.org/abs/1511.06807"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, narrow, normal, root, widen
from gdlab.rules.preconditioner import preconditioner, with_preconditioner
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, wrapper
from gdlab.types import Array, Grads, Params, Rule, State, Updates

_INNER = 2**31 - 1  # folded into the key for the inner rule; the numbers of the leaves are smaller


class NoiseState(NamedTuple):
    """The step number, which determines the variance, and the state of the inner rule."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    inner: State


@register.rule(
    "add_noise",
    source="Neelakantan et al., Adding gradient noise improves learning for very deep networks, 2015, Section 3",
    url="https://arxiv.org/abs/1511.06807",
    year=2015,
    ranges={"lr": (1e-4, 0.2), "eta": (1e-6, 1.0), "gamma": (0.0, 2.0)},
    needs=("key",),
    wraps=True,
    memory=0,
    optax=None,
    differs="Optax keeps a random key in the state, so its draws differ.",
)
@wrapper
def add_noise(
    of: Inner = "gd",
    lr: Hyperparameter = LR,
    eta: Hyperparameter = 0.01,
    gamma: Hyperparameter = 0.55,
    **hyperparameters: Any,
) -> Rule:
    """Gradient noise: the inner rule applied to g + N(0, eta / (1 + t)^gamma) in each coordinate, t = 0, 1, ...

    `eta` is a variance; the paper uses 0.01, 0.3 and 1.

    Source: Neelakantan et al. (2015), Equation 1.

    >>> rule = add_noise(of="gd", lr=0.5, eta=0.0)
    >>> updates, state = rule.update(2.0, rule.init(1.0), key=jax.random.key(0))
    >>> float(updates)
    -1.0
    """
    inner = inner_rule(of, lr, hyperparameters)

    def init(params: Params) -> NoiseState:
        return NoiseState(jnp.zeros([], jnp.int32), inner.init(params))

    @requires_extras("add_noise")
    def update(
        grads: Grads, state: NoiseState, params: Params | None = None, *, key: Array, **extra: Any
    ) -> tuple[Updates, NoiseState]:
        def formula(g: Array, noise: Array, *, t: Array, eta: Array, gamma: Array) -> Array:
            return g + root(eta / (1 + t) ** gamma) * noise

        noisy = each(formula, widen(grads), normal(key, grads), t=state.count, eta=eta, gamma=gamma)
        updates, after = inner.update(noisy, state.inner, params, key=jax.random.fold_in(key, _INNER), **extra)
        return narrow(updates, grads), NoiseState(optax.safe_increment(state.count), after)

    return with_preconditioner(Rule(init, update), lambda state: preconditioner(inner, state.inner))
