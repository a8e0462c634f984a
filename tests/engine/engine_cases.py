"""What the suites of the engine share: a small problem, plain functions as builds, datasets compared by their bits."""

import jax
import numpy as np

from gdlab import Problem
from gdlab.engine.evaluate import function
from gdlab.engine.plan import plan
from gdlab.engine.space import space


def bowl(curvature=4.0):
    """A quadratic in two dimensions that starts where the seed says."""
    return Problem(
        init=lambda key: jax.random.normal(key, (2,)),
        loss=lambda x, batch: 0.5 * (x[0] ** 2 + curvature * x[1] ** 2),
    )


def builder(fn, names, fixed=None):
    """A function of a point as a build, as `evaluate` makes it."""
    return lambda values: function(lambda **point: fn(**values, **point), (*names, *(fixed or {})), fixed or {})


def planned(fn, over, static=(), fixed=None):
    """The groups in which `evaluate` would run a function."""
    points = space(over)
    return plan(points, builder(fn, points.names, fixed), static)


def assert_same_bits(found, wanted):
    assert set(found.variables) == set(wanted.variables)
    for name in wanted.variables:
        assert found[name].dims == wanted[name].dims, name
        assert found[name].dtype == wanted[name].dtype, name
        if found[name].dtype == object:
            assert found[name].values.tolist() == wanted[name].values.tolist(), name
        else:
            same = np.ascontiguousarray(found[name]).tobytes() == np.ascontiguousarray(wanted[name]).tobytes()
            assert same and found[name].shape == wanted[name].shape, name
