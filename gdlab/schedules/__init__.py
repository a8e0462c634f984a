"""Schedules: hyperparameters as functions of the step number, which starts at 0.

`cosine(peak=0.1, steps=1000)` is a function `f(step) -> value`, which a rule accepts for any of its numbers. All
arguments may be traced, including numbers of steps. The value has the shape of `step` and JAX's default float (float32,
or float64 under x64).
"""

from gdlab.schedules.cosines import cosine, sgdr
from gdlab.schedules.decays import (
    constant,
    exponential,
    inverse_square_root,
    inverse_time,
    linear,
    polynomial,
    step,
)
from gdlab.schedules.parts import Number
from gdlab.schedules.ramps import cyclical, one_cycle, range_test, warmup, wsd

__all__ = [
    "Number",
    "constant",
    "cosine",
    "cyclical",
    "exponential",
    "inverse_square_root",
    "inverse_time",
    "linear",
    "one_cycle",
    "polynomial",
    "range_test",
    "sgdr",
    "step",
    "warmup",
    "wsd",
]
