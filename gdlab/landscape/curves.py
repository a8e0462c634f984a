"""Bezier curves and polygonal chains in parameter space."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from gdlab.types import Array, Params

Curve = Literal["bezier", "polygon"]


def on_curve(points: Sequence[Params], t: Array | float, curve: Curve = "bezier") -> Params:
    """The params at t in [0, 1] on a curve from the first of n + 1 points to the last: sum_i c_i(t) p_i.

    - "bezier": c_i(t) = (n over i) t^i (1 - t)^(n - i). With one point between the ends it is the quadratic
      (1 - t)^2 p_0 + 2 t (1 - t) p_1 + t^2 p_2, which does not pass through p_1.
    - "polygon": c_i(t) = max(0, 1 - |n t - i|), through every point; all pieces have equal length in t.

    With two points, both curves are the segment (1 - t) a + t b. At t = 0 and t = 1 the result equals the ends bit for
    bit.

    Raises:
        ValueError: an unknown `curve`; fewer than two points.

    Source: Garipov, Izmailov, Podoprikhin, Vetrov, Wilson (2018), section 3.2. https://arxiv.org/abs/1802.10026
    """
    if curve not in get_args(Curve):
        raise ValueError(f"curve must be one of {', '.join(get_args(Curve))}, not {curve!r}")
    n = len(points) - 1
    if n < 1:
        raise ValueError(f"a curve needs two or more points, not {len(points)}")
    t = jnp.asarray(t, jnp.result_type(float))
    if curve == "bezier":
        weights = [math.comb(n, i) * t**i * (1 - t) ** (n - i) for i in range(n + 1)]
    else:
        weights = [jnp.maximum(0, 1 - jnp.abs(n * t - i)) for i in range(n + 1)]

    def combined(*leaves: Array) -> Array:
        parts = [c.astype(leaf.dtype) * leaf for c, leaf in zip(weights, leaves, strict=True)]
        return sum(parts[1:], parts[0])

    return jax.tree.map(combined, *points)
