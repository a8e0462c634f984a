"""Mode connectivity: the loss barrier on the straight line between two solutions, and trained low-loss curves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdlab.engine.evaluate import evaluate
from gdlab.landscape.curves import Curve, on_curve
from gdlab.landscape.surface_grids import Measure, Values, named
from gdlab.landscape.weight_matching import aligned
from gdlab.training.batches import examples
from gdlab.training.descent import descend
from gdlab.types import Array, Params, Problem, Trace

if TYPE_CHECKING:
    import xarray

__all__ = ["Connection", "aligned", "barrier", "connect", "curve_losses", "curve_problem", "interpolate"]


def curve_losses(
    fn: Measure, points: Sequence[Params], t: int | Values = 61, *, curve: Curve = "bezier", **options: Any
) -> "xarray.Dataset":
    """`fn` along a curve through parameter space, over the dim t.

    Args:
        fn: `fn(params) -> scalar` (named `loss` in the result) or a dict of arrays by name.
        points: the points of the curve from one end to the other; see `gdlab.landscape.on_curve`.
        t: values in [0, 1], or the number of evenly spaced values from 0 to 1.
        curve: "bezier" or "polygon".
        options: see `gdlab.evaluate`.
    """
    values = np.linspace(0, 1, int(t)) if isinstance(t, int | np.integer) else t
    return evaluate(lambda t: named(fn(on_curve(points, t, curve))), {"t": values}, **options)


def interpolate(fn: Measure, a: Params, b: Params, t: int | Values = 25, **options: Any) -> "xarray.Dataset":
    """`fn` at (1 - t) a + t b, over the dim t; at 0 and 1 the params are exactly a and b. See `curve_losses`.

    Source: Goodfellow, Vinyals, Saxe (2015). https://arxiv.org/abs/1412.6544
    """
    return curve_losses(fn, (a, b), t, **options)


def barrier(loss: "xarray.DataArray") -> "xarray.DataArray":
    """The loss barrier: the largest excess of the loss along a path over the linear interpolation of its ends.

    max_t [L(t) - ((1 - t) L(0) + t L(1))] over the dim t, whose first and last values are the ends (Entezari, Sedghi,
    Saukh, Neyshabur, 2022). At least 0, since the ends are included. Frankle, Dziugaite, Roy, Carbin (2020) subtract
    the mean of both ends, which is equal if the losses at the ends are equal. NaN if a loss on the path is NaN.
    """
    t = (loss["t"] - loss["t"][0]) / (loss["t"][-1] - loss["t"][0])
    ends = loss.isel(t=0, drop=True) * (1 - t) + loss.isel(t=-1, drop=True) * t
    return (loss - ends).max("t", skipna=False)


def curve_problem(
    problem: Problem, a: Params, b: Params, *, curve: Curve = "bezier", bends: int = 1, whole: bool = False
) -> Problem:
    """The mean loss along a curve from `a` to `b`, as a problem whose params are the points between the ends.

    Minimises E[L(c(t))], t uniform on [0, 1], with one t and one batch per step. The initial points are evenly spaced
    on the straight line, for every key.

    Args:
        problem: the problem with the loss L.
        a, b: the ends, which are constant.
        curve: see `gdlab.landscape.on_curve`.
        bends: the number of points between the ends.
        whole: whether each step uses all data of the problem. Otherwise it draws a batch with replacement, or from the
            stream of the problem. Has no effect without data.

    Raises:
        ValueError: fewer than one bend; `whole` with an endless stream.

    Source: Garipov, Izmailov, Podoprikhin, Vetrov, Wilson (2018). https://arxiv.org/abs/1802.10026
    """
    if bends < 1:
        raise ValueError(f"bends must be at least 1, not {bends}")
    if whole and problem.sample is not None:
        raise ValueError("whole=True needs a problem with data, not an endless stream: pass batch_size=")
    count = examples(problem)

    def init(key: Array) -> tuple[Params, ...]:
        return tuple(on_curve((a, b), i / (bends + 1)) for i in range(1, bends + 1))

    def sample(key: Array, step: Array, size: int) -> tuple[Array, Any]:
        where, which = jax.random.split(key)
        t = jax.random.uniform(where, (), jnp.result_type(float))
        if problem.sample is not None:
            return t, problem.sample(which, step, size)
        if whole or count is None:
            return t, problem.data
        chosen = jax.random.randint(which, (size,), 0, count)
        return t, jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], problem.data)

    def loss(between: tuple[Params, ...], batch: tuple[Array, Any]) -> Array:
        t, data = batch
        return problem.loss(on_curve((a, *between, b), t, curve), data)

    return Problem(init=init, loss=loss, sample=sample)


class Connection(NamedTuple):
    """A trained curve: its points, including the ends `a` and `b`, and the run that trained it."""

    points: tuple[Params, ...]
    trace: Trace


def connect(
    problem: Problem,
    a: Params,
    b: Params,
    rule: optax.GradientTransformation,
    key: Array,
    *,
    steps: int,
    curve: Curve = "bezier",
    bends: int = 1,
    batch_size: int | None = None,
    **settings: Any,
) -> Connection:
    """Train a low-loss curve from `a` to `b` by `gdlab.descend` on `curve_problem`. Pure; supports jit and vmap.

    Args:
        problem, a, b, curve, bends: see `curve_problem`.
        rule: the update rule for the points between the ends.
        key: a PRNG key, for the t and the batch of each step.
        steps, settings: see `gdlab.descend`.
        batch_size: the batch size, or None for all data at each step.

    Returns:
        The points of the trained curve and the run that trained it. Each recorded loss of the run, and its final loss,
        is at a single random t; `curve_losses(fn, connection.points, curve=...)` evaluates the whole curve.
    """
    drawn = curve_problem(problem, a, b, curve=curve, bends=bends, whole=batch_size is None)
    trace = descend(drawn, rule, key, steps=steps, batch_size=batch_size or 1, **settings)
    return Connection((a, *trace.params, b), trace)
