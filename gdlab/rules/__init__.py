"""Update rules: each a factory of hyperparameters, any of which may be traced or a schedule.

A rule takes gradients and gives updates: `updates, state = rule.update(grads, state, params)`, and `params + updates`
is the next point. It is an optax gradient transformation, and goes wherever one does.
"""

from gdlab.rules.adagrad import adagrad
from gdlab.rules.adam import adam
from gdlab.rules.adamw import adamw
from gdlab.rules.from_optax import from_optax
from gdlab.rules.gd import gd
from gdlab.rules.momentum import momentum
from gdlab.rules.momentum_ema import momentum_ema
from gdlab.rules.nesterov import nesterov
from gdlab.rules.rmsprop import rmsprop

__all__ = [
    "adagrad",
    "adam",
    "adamw",
    "from_optax",
    "gd",
    "momentum",
    "momentum_ema",
    "nesterov",
    "rmsprop",
]
