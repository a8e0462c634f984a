"""What the suites of the engine share: a small problem, plain functions as builds, datasets compared by their bits."""

import jax

from gdlab import Problem
from gdlab.engine.evaluate import function
from gdlab.engine.plan import plan
from gdlab.engine.space import space


def bowl(curvature=4.0):
    """A quadratic in two dimensions that starts at whole numbers from 1 to 3, which the seed decides."""
    return Problem(
        init=lambda key: jax.random.randint(key, (2,), 1, 4).astype(float),
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
            assert found[name].shape == wanted[name].shape, name
            assert found[name].values.tobytes() == wanted[name].values.tobytes(), name
