"""Weight decay as a penalty on the loss (Krogh & Hertz, 1991).

https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html
"""

from typing import Any

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, narrow, widen
from gdlab.rules.preconditioner import preconditioner, with_preconditioner
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, wrapper
from gdlab.types import Grads, Params, Rule, State, Updates


@register.rule(
    "weight_decay",
    source="Krogh & Hertz, A simple weight decay can improve generalization, 1991",
    url="https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html",
    year=1991,
    ranges={"lr": (1e-4, 10.0), "l2": (1e-6, 1.0)},
    needs=("params",),
    wraps=True,
    memory=0,
    optax="add_decayed_weights",
    differs="AdamW adds the decay to the update instead of the gradient, so it is not divided by the denominator.",
)
@wrapper
def weight_decay(of: Inner = "gd", lr: Hyperparameter = LR, l2: Hyperparameter = 1e-4, **hyperparameters: Any) -> Rule:
    """Weight decay: the inner rule applied to g + l2 x, the gradient of loss + l2/2 |x|^2, with x the parameters.

    The inner rule processes the decay like the gradient: Adam divides it by the root of the second moment, momentum
    accumulates it. Decoupled decay, as in `adamw`, subtracts lr l2 x from the parameters instead; for gradient descent
    the two are the same. All parameters are decayed, including biases.

    Source: Krogh & Hertz (1991), Equation 3; for the difference from decoupled decay Loshchilov & Hutter (2019),
    https://arxiv.org/abs/1711.05101.

    >>> rule = weight_decay(of="gd", lr=0.5, l2=0.25)
    >>> updates, state = rule.update(3.0, rule.init(4.0), 4.0)
    >>> float(updates)
    -2.0
    """
    inner = inner_rule(of, lr, hyperparameters)

    @requires_extras("weight_decay")
    def update(grads: Grads, state: State, params: Params, **extra: Any) -> tuple[Updates, State]:
        decayed = each(lambda g, x, l2: g + l2 * x, widen(grads), params, l2=l2)
        updates, after = inner.update(decayed, state, params, **extra)
        return narrow(updates, grads), after

    return with_preconditioner(Rule(inner.init, update), lambda state: preconditioner(inner, state))
