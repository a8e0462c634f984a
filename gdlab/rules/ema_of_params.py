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
    differs="The paper, PyTorch and others start the average at the first parameters and let them fade.",
)
@wrapper
def ema_of_params(
    of: Inner = "gd", lr: Hyperparameter = LR, ema_decay: Hyperparameter = 0.99, **hyperparameters: Any
) -> Rule:
    """Averaged weights: another rule, judged at the mean of its points x_1 ... x_t, weighted by ema_decay^(t - k).

    The other rule's own run is left as it is. It is m_t / (1 - ema_decay^t) with m <- ema_decay m + (1 - ema_decay) x
    from 0, so the point that the run starts from has no weight. About 1 / (1 - ema_decay) points count.

    Source: Tarvainen & Valpola (2017), Equation 3, corrected for the start as Adam's moments are.

    Raises:
        ValueError: `update` is not given the parameters.

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
