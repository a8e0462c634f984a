"""AMSGrad, Adam with a denominator that never falls (Reddi, Kale & Kumar, 2018). https://arxiv.org/abs/1904.09237"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.adam import preconditioned_stability
from gdlab.rules.leafwise import each, root, zeros
from gdlab.rules.moments import AdamState, bias_correction, init_moments, update_moments
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AMSGradState(NamedTuple):
    """The moments of the gradient, and the largest second moment so far."""

    moments: AdamState  # m and v
    nu_max: PyTree  # s, shaped like params, at least float32


@register.rule(
    "amsgrad",
    source="Reddi, Kale & Kumar, On the convergence of Adam and beyond, 2018, Algorithm 2",
    url="https://arxiv.org/abs/1904.09237",
    year=2018,
    ranges={"lr": (1e-5, 1.0), "b1": (0.0, 0.99), "b2": (0.9, 0.9999), "eps": (1e-12, 1e-2)},
    preconditioned_stability=preconditioned_stability,
    memory=3,
    optax_with={"bias_correction_mu": False, "bias_correction_nu": False},
    differs="Optax corrects the bias of both moments, as with `corrected=True`; PyTorch takes the maximum of v without "
    "bias correction and corrects the maximum.",
)
@schedulable
def amsgrad(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    corrected: bool = False,
) -> Rule:
    """AMSGrad: s <- max(s, v), u = -lr m / (sqrt(s) + eps), from s = 0, with Adam's moments m and v of the gradient.

    m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2 from 0. As s never falls, the rule does not forget a rare large
    gradient, and the effective learning rate of a coordinate never grows. Adam's can grow, and on some convex problems
    Adam then moves away from the minimum on average.

    The paper has no bias correction and no eps. With `corrected` both moments are corrected, m / (1 - b1^t) and
    v / (1 - b2^t), before the maximum is taken, as in optax. Differs from PyTorch, which corrects the maximum.

    Source: Reddi, Kale & Kumar (2018), Algorithm 2.

    >>> rule = amsgrad(lr=0.5, b1=0.5, b2=0.75, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def maximum(s: Array, v: Array, t: Array, b2: Array) -> Array:
        return jnp.maximum(s, bias_correction(v, b2, t) if corrected else v)

    def formula(_: Array, m: Array, s: Array, *, t: Array, lr: Array, b1: Array, eps: Array) -> Array:
        return -lr * (bias_correction(m, b1, t) if corrected else m) / (root(s) + eps)

    def init(params: Params) -> AMSGradState:
        return AMSGradState(init_moments(params), zeros(params))

    def update(
        grads: Grads, state: AMSGradState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AMSGradState]:
        after = update_moments(grads, state.moments, b1, b2)
        s = each(maximum, state.nu_max, after.nu, t=after.count, b2=b2)
        return each(formula, grads, after.mu, s, t=after.count, lr=lr, b1=b1, eps=eps), AMSGradState(after, s)

    def divisor(s: Array, *, t: Array, b1: Array, eps: Array) -> Array:
        return (root(s) + eps) * (1 - b1**t if corrected else 1)

    def by(state: AMSGradState) -> PyTree:
        return each(divisor, state.nu_max, t=state.moments.count, b1=b1, eps=eps)

    return with_preconditioner(Rule(init, update), by)
