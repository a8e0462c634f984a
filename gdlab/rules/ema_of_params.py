"""An exponential moving average of the parameters (Tarvainen & Valpola, 2017). https://arxiv.org/abs/1703.01780"""

from typing import Any

from gdlab import register
from gdlab.rules.average import averaging
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, number, wrapper
from gdlab.types import Array, Rule


@register.rule(
    "ema_of_params",
    source="Tarvainen & Valpola, Mean teachers are better role models, 2017, Equation 3",
    url="https://arxiv.org/abs/1703.01780",
    year=2017,
    ranges={"lr": (1e-4, 10.0), "ema_decay": (0.5, 0.9999)},
    needs=("params",),
    wraps=True,
    memory=1,
    differs="The paper, PyTorch and others start the average at the initial parameters, without bias correction.",
)
@wrapper
def ema_of_params(
    of: Inner = "gd", lr: Hyperparameter = LR, ema_decay: Hyperparameter = 0.99, **hyperparameters: Any
) -> Rule:
    """EMA of the weights: the inner rule, evaluated at the mean of its iterates x_k with weights ema_decay^(t - k).

    The parameters move as with the inner rule alone. The mean is m_t / (1 - ema_decay^t), where m <- ema_decay m +
    (1 - ema_decay) x and m_0 = 0, so the starting point has no weight. It averages about the last 1 / (1 - ema_decay)
    iterates.

    Source: Tarvainen & Valpola (2017), Equation 3, with the bias correction of Adam.

    >>> rule = ema_of_params(of="gd", lr=0.5, ema_decay=0.5)
    >>> first, state = rule.update(2.0, rule.init(1.0), 1.0)
    >>> second, state = rule.update(6.0, state, 0.0)
    >>> round(float(state.evaluation(-3.0)), 6)
    -2.0
    """

    def weight(step: Array) -> Array:
        decay = number(ema_decay=ema_decay)
        return (1 - decay) / (1 - decay ** (step + 1))

    return averaging("ema_of_params", inner_rule(of, lr, hyperparameters), weight)
