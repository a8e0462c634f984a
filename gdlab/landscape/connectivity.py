"""Paths between two solutions: how high the loss rises on the straight line, and curves trained to stay low."""

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
        fn: what is measured, as a scalar (`loss` in the result) or a dict of arrays by name.
        points: the points of the curve, ends first and last; see `gdlab.landscape.on_curve`.
        t: values in [0, 1], or how many evenly spaced ones, ends included.
        curve: "bezier" or "polygon".
        options: of `gdlab.evaluate`.
    """
    values = np.linspace(0, 1, int(t)) if isinstance(t, int | np.integer) else t
    return evaluate(lambda t: named(fn(on_curve(points, t, curve))), {"t": values}, **options)


def interpolate(fn: Measure, a: Params, b: Params, t: int | Values = 25, **options: Any) -> "xarray.Dataset":
    """`fn` at (1 - t) a + t b, over the dim t; at 0 and 1 the params are a and b to the bit. See `curve_losses`.

    Source: Goodfellow, Vinyals, Saxe (2015). https://arxiv.org/abs/1412.6544
    """
    return curve_losses(fn, (a, b), t, **options)


def barrier(loss: "xarray.DataArray") -> "xarray.DataArray":
    """How far a loss along a path rises above the straight line between the losses at its ends.

    max_t [L(t) - ((1 - t) L(0) + t L(1))], over the dim t of the array, whose first and last values are the ends
    (Entezari, Sedghi, Saukh, Neyshabur, 2022). Never below 0, as the ends count. Frankle, Dziugaite, Roy, Carbin (2020)
    subtract the mean of both ends, which is the same where these are equal. NaN where a loss on the path is NaN.
    """
    t = (loss["t"] - loss["t"][0]) / (loss["t"][-1] - loss["t"][0])
    ends = loss.isel(t=0, drop=True) * (1 - t) + loss.isel(t=-1, drop=True) * t
    return (loss - ends).max("t", skipna=False)


def curve_problem(
    problem: Problem, a: Params, b: Params, *, curve: Curve = "bezier", bends: int = 1, whole: bool = False
) -> Problem:
    """The mean loss along a curve from `a` to `b`, as a problem whose params are the points between the ends.

    Minimises E[L(c(t))], t uniform on [0, 1], one t and one batch drawn for each step. It starts on the straight line,
    at bends evenly spaced, from which the key does not move it.

    Args:
        problem: whose loss it is.
        a, b: the ends, which stay.
        curve, bends: which curve (see `gdlab.landscape.on_curve`), and how many points there are between its ends.
        whole: whether each step sees all of the problem's data. Else it draws as many examples as it is asked for, each
            independently, or takes them from the problem's stream. Where there are no data it makes no difference.

    Raises:
        ValueError: fewer than one bend; `whole` of an endless stream.

    Source: Garipov, Izmailov, Podoprikhin, Vetrov, Wilson (2018). https://arxiv.org/abs/1802.10026
    """
    if bends < 1:
        raise ValueError(f"a curve is trained by the points between its ends, so bends must be at least 1, not {bends}")
    if whole and problem.sample is not None:
        raise ValueError("an endless stream has no whole: leave `whole` out, and give a batch size")
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
    """A curve that was trained: its points, the ends `a` and `b` among them, and the run that found them."""

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
    """Train a curve of low loss from `a` to `b`, by `gdlab.descend` on `curve_problem`. Pure; jit and vmap work.

    Args:
        problem, a, b, curve, bends: see `curve_problem`.
        rule: the update rule of the points between the ends.
        key: decides the t and the batch of each step.
        steps, settings: of `gdlab.descend`.
        batch_size: None: all of the problem's data at each step.

    Returns:
        The curve, for `curve_losses(fn, connection.points, curve=...)`. The losses of its run are each at one t; so is
        its final loss.
    """
    drawn = curve_problem(problem, a, b, curve=curve, bends=bends, whole=batch_size is None)
    trace = descend(drawn, rule, key, steps=steps, batch_size=batch_size or 1, **settings)
    return Connection((a, *trace.params, b), trace)
