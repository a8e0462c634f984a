"""Update rules, one file each: hyperparameters in, a `Rule(init, update)` out. Importing this registers them all."""

from gdlab.rules.adagrad import adagrad
from gdlab.rules.adam import adam
from gdlab.rules.adamw import adamw
from gdlab.rules.from_optax import from_optax
from gdlab.rules.gd import gd
from gdlab.rules.momentum import momentum
from gdlab.rules.nesterov import nesterov
from gdlab.rules.rmsprop import rmsprop
from gdlab.rules.scheduled import schedulable

__all__ = ["adagrad", "adam", "adamw", "from_optax", "gd", "momentum", "nesterov", "rmsprop", "schedulable"]
