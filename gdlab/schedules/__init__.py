"""Schedules: hyperparameters as functions of the step's number, counted from 0.

Each function makes one: `cosine(peak=0.1, steps=1000)` is an `f(step) -> value` that serves wherever a rule takes a
number. Every argument may be traced, counts of steps too. A value is of JAX's default float (float32, or float64 under
x64) and has the shape of `step`.
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
