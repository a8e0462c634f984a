"""The paths of chosen runs. They are run again, since a sweep does not record parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab.engine.axis_values import ABSENT
from gdlab.engine.evaluate import run
from gdlab.engine.plan import Build
from gdlab.training.probes import position
from gdlab.training.sweep import STATIC, RuleLike, assignment
from gdlab.types import Params, Problem

# The largest number of points per path, and the largest size of all paths in bytes.
POINTS, MOST_BYTES = 250, 2**29


class Shown(NamedTuple):
    """A chosen run: the label of its rule, and its values of the axes, without the axes of the problem."""

    rule: str
    values: Mapping[str, Any]


class Paths(NamedTuple):
    """Paths of runs: positions [runs, points, d], NaN after the end of a run, and the step of each point.

    `unravel` converts a position to params.
    """

    positions: np.ndarray
    steps: np.ndarray
    unravel: Callable[[Any], Params]

    @property
    def finite(self) -> list[np.ndarray]:
        """The finite points of each path."""
        return [path[np.isfinite(path).all(axis=1)] for path in self.positions]


def run_paths(
    problem: Problem, rules: Mapping[str, RuleLike], shown: Sequence[Shown], *, steps: int, **settings: Any
) -> Paths:
    """Run the chosen runs again and return their paths, including both ends.

    Args:
        problem, rules: as in `gdlab.sweep`; the rules by label.
        shown: the runs.
        steps, settings: as in `gdlab.sweep`.
    """
    start = jax.eval_shape(problem.init, jax.random.key(0))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), start)
    flat, unravel = ravel_pytree(zeros)
    points = min(POINTS, max(2, MOST_BYTES // (len(shown) * flat.size * flat.dtype.itemsize)))
    every = -(-steps // points) or 1
    names = list(dict.fromkeys(name for one in shown for name in one.values))
    rows = [(one.rule, *(one.values.get(name, ABSENT) for name in names)) for one in shown]
    # One more step than the run: its record is the final position.
    build, space = assignment(
        problem,
        rules,
        {("rule", *names): rows},
        steps=steps + 1,
        every=every,
        probes={"position": position},
        **settings,
    )
    positions = run(space, _without_finish(build), static=STATIC)["position"].values
    return Paths(positions, every * np.arange(positions.shape[1]), unravel)


def _without_finish(build: Build) -> Build:
    """The same runs, but without computing their outcomes, which are known."""
    return lambda values: build(values)._replace(finish=lambda point, carry: {})
