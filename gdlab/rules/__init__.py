"""Update rules: each a factory of hyperparameters, any of which may be traced or a schedule.

A rule takes gradients and gives updates: `updates, state = rule.update(grads, state, params)`, and `params + updates`
is the next point. It is an optax gradient transformation, and goes wherever one does.
"""

from gdlab.rules.adabelief import adabelief
from gdlab.rules.adadelta import adadelta
from gdlab.rules.adagrad import adagrad
from gdlab.rules.adam import adam
from gdlab.rules.adamax import adamax
from gdlab.rules.adamw import adamw
from gdlab.rules.aggmo import aggmo
from gdlab.rules.amsgrad import amsgrad
from gdlab.rules.from_optax import from_optax
from gdlab.rules.gd import gd
from gdlab.rules.lamb import lamb
from gdlab.rules.lars import lars
from gdlab.rules.lion import lion
from gdlab.rules.momentum import momentum
from gdlab.rules.momentum_ema import momentum_ema
from gdlab.rules.nadam import nadam
from gdlab.rules.nesterov import nesterov
from gdlab.rules.nesterov_1983 import nesterov_1983
from gdlab.rules.normalised_gd import normalised_gd
from gdlab.rules.qhadam import qhadam
from gdlab.rules.qhm import qhm
from gdlab.rules.radam import radam
from gdlab.rules.rmsprop import rmsprop
from gdlab.rules.rprop import rprop
from gdlab.rules.schedule_free_adamw import schedule_free_adamw
from gdlab.rules.schedule_free_sgd import schedule_free_sgd
from gdlab.rules.sign_gd import sign_gd
from gdlab.rules.yogi import yogi

__all__ = [
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "aggmo",
    "amsgrad",
    "from_optax",
    "gd",
    "lamb",
    "lars",
    "lion",
    "momentum",
    "momentum_ema",
    "nadam",
    "nesterov",
    "nesterov_1983",
    "normalised_gd",
    "qhadam",
    "qhm",
    "radam",
    "rmsprop",
    "rprop",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sign_gd",
    "yogi",
]
