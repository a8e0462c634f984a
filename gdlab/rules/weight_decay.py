"""Weight decay as a penalty on the loss (Krogh & Hertz, 1991).

https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html
"""

from typing import Any

from gdlab import register
from gdlab.rules.leafwise import each
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, on_gradients, wrapper
from gdlab.types import Grads, Params, Rule


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
    differs="AdamW's decoupled decay is added to the update, not to the gradient, and no denominator divides it.",
)
@wrapper
def weight_decay(of: Inner = "gd", lr: Hyperparameter = LR, l2: Hyperparameter = 1e-4, **hyperparameters: Any) -> Rule:
    """Weight decay: another rule, given g + l2 x, the gradient of the loss and l2/2 |x|^2, x the parameters.

    So the rule treats the decay as it treats the gradient: Adam divides it by the root of the second moment, momentum
    remembers it. Decoupled decay, as in `adamw`, is lr l2 x taken off the parameters apart from all that; for gradient
    descent the two are one. Every parameter is decayed, biases too.

    Source: Krogh & Hertz (1991), Equation 3; on the difference Loshchilov & Hutter (2019),
    https://arxiv.org/abs/1711.05101.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = weight_decay(of="gd", lr=0.5, l2=0.25)
    >>> updates, state = rule.update(3.0, rule.init(4.0), 4.0)
    >>> float(updates)
    -2.0
    """

    def decayed(grads: Grads, params: Params | None) -> Grads:
        if params is None:
            raise ValueError("weight_decay shrinks the parameters: update(grads, state, params) needs them")
        return each(lambda g, x, l2: g + l2 * x, grads, params, l2=l2)

    return on_gradients(inner_rule(of, lr, hyperparameters), decayed)
