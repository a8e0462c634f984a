"""Update rules. Each is made by a factory; its hyperparameters may be numbers, traced numbers or schedules.

`updates, state = rule.update(grads, state, params)`, and `params + updates` is the next point. A rule is an optax
gradient transformation and works in `optax.chain`. Some rules need extra arguments, such as `grad_fn`: without them
`update` raises a ValueError that names what is missing.
"""

from gdlab.rules.accumulate import accumulate
from gdlab.rules.adabelief import adabelief
from gdlab.rules.adadelta import adadelta
from gdlab.rules.adafactor import adafactor
from gdlab.rules.adagrad import adagrad
from gdlab.rules.adam import adam
from gdlab.rules.adamax import adamax
from gdlab.rules.adamw import adamw
from gdlab.rules.add_noise import add_noise
from gdlab.rules.aggmo import aggmo
from gdlab.rules.amsgrad import amsgrad
from gdlab.rules.armijo import armijo
from gdlab.rules.average import average
from gdlab.rules.barzilai_borwein import barzilai_borwein
from gdlab.rules.by_path import by_path
from gdlab.rules.centralise import centralise
from gdlab.rules.chain import chain
from gdlab.rules.clip_by_leaf_norm import clip_by_leaf_norm
from gdlab.rules.clip_by_norm import clip_by_norm
from gdlab.rules.clip_by_value import clip_by_value
from gdlab.rules.conjugate_gradient import conjugate_gradient
from gdlab.rules.ema_of_params import ema_of_params
from gdlab.rules.extragradient import extragradient
from gdlab.rules.from_optax import from_optax
from gdlab.rules.gauss_newton import gauss_newton
from gdlab.rules.gd import gd
from gdlab.rules.lamb import lamb
from gdlab.rules.lars import lars
from gdlab.rules.lbfgs import lbfgs
from gdlab.rules.levenberg_marquardt import levenberg_marquardt
from gdlab.rules.lion import lion
from gdlab.rules.lookahead import lookahead
from gdlab.rules.momentum import momentum
from gdlab.rules.momentum_ema import momentum_ema
from gdlab.rules.muon import muon
from gdlab.rules.nadam import nadam
from gdlab.rules.natural_gradient import natural_gradient
from gdlab.rules.nesterov import nesterov
from gdlab.rules.nesterov_1983 import nesterov_1983
from gdlab.rules.newton import newton
from gdlab.rules.normalised_gd import normalised_gd
from gdlab.rules.optimistic import optimistic
from gdlab.rules.perturbed_gd import perturbed_gd
from gdlab.rules.polyak import polyak
from gdlab.rules.prodigy import prodigy
from gdlab.rules.qhadam import qhadam
from gdlab.rules.qhm import qhm
from gdlab.rules.radam import radam
from gdlab.rules.reduce_on_plateau import reduce_on_plateau
from gdlab.rules.rmsprop import rmsprop
from gdlab.rules.rprop import rprop
from gdlab.rules.sam import sam
from gdlab.rules.schedule_free_adamw import schedule_free_adamw
from gdlab.rules.schedule_free_sgd import schedule_free_sgd
from gdlab.rules.sgld import sgld
from gdlab.rules.shampoo import shampoo
from gdlab.rules.sign_gd import sign_gd
from gdlab.rules.soap import soap
from gdlab.rules.sophia import sophia
from gdlab.rules.svrg import svrg
from gdlab.rules.weight_decay import weight_decay
from gdlab.rules.yogi import yogi

__all__ = [
    "accumulate",
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "add_noise",
    "aggmo",
    "amsgrad",
    "armijo",
    "average",
    "barzilai_borwein",
    "by_path",
    "centralise",
    "chain",
    "clip_by_leaf_norm",
    "clip_by_norm",
    "clip_by_value",
    "conjugate_gradient",
    "ema_of_params",
    "extragradient",
    "from_optax",
    "gauss_newton",
    "gd",
    "lamb",
    "lars",
    "lbfgs",
    "levenberg_marquardt",
    "lion",
    "lookahead",
    "momentum",
    "momentum_ema",
    "muon",
    "nadam",
    "natural_gradient",
    "nesterov",
    "nesterov_1983",
    "newton",
    "normalised_gd",
    "optimistic",
    "perturbed_gd",
    "polyak",
    "prodigy",
    "qhadam",
    "qhm",
    "radam",
    "reduce_on_plateau",
    "rmsprop",
    "rprop",
    "sam",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sgld",
    "shampoo",
    "sign_gd",
    "soap",
    "sophia",
    "svrg",
    "weight_decay",
    "yogi",
]
