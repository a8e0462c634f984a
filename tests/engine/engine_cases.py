"""Shared helpers of the engine tests: a small problem, plans, their results, comparison by bits."""

import jax
import numpy as np

from gdlab import Problem
from gdlab.engine.axis_values import ABSENT
from gdlab.engine.dataset import Piece, assemble
from gdlab.engine.evaluate import function
from gdlab.engine.execute import Settings, execute
from gdlab.engine.plan import plan
from gdlab.engine.sink import MemorySink
from gdlab.engine.space import space
from gdlab.training.sweep import STATIC, assignment

DEFAULT = Settings()


def bowl(curvature=4.0):
    """A quadratic in two dimensions; its starting point has random integer coordinates from 1 to 3."""
    return Problem(
        init=lambda key: jax.random.randint(key, (2,), 1, 4).astype(float),
        loss=lambda x, batch: 0.5 * (x[0] ** 2 + curvature * x[1] ** 2),
    )


def bowl_start(seed):
    """The starting point of the bowl, in double precision."""
    return np.asarray(bowl().init(jax.random.split(jax.random.key(seed), 3)[0]), float)


def builder(fn, names, fixed=None):
    """The build of a function, like that of `evaluate`."""

    def build(values):
        given = {name: value for name, value in values.items() if value is not ABSENT}
        here = [name for name in names if values.get(name) is not ABSENT]
        return function(lambda **point: fn(**given, **point), (*here, *(fixed or {})), fixed or {})

    return build


def planned(fn, over, static=(), fixed=None):
    """The groups of a function, like those of `evaluate`."""
    points = space(over)
    return plan(points, builder(fn, points.names, fixed), static)


def trained(problem, rule, over, **settings):
    """The space and the groups of a sweep."""
    build, points = assignment(problem, rule, over, **settings)
    return points, plan(points, build, STATIC)


def executed(points, groups, settings=DEFAULT, sink=None, mesh=None):
    """The labelled results of groups."""
    memory = MemorySink() if sink is None else sink
    execute(groups, memory, settings, mesh)
    process = groups[0].process
    pieces = [Piece(group.covers, results) for group, results in zip(groups, memory.results, strict=True)]
    return assemble(points, pieces, memory.series_names, np.arange(0, process.steps, process.every))


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
