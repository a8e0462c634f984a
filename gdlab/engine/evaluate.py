"""The engine's door: a function or a process, and a space, in; a labelled Dataset out."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from gdlab.engine.dataset import Memory, Piece, assemble
from gdlab.engine.execute import Progress, execute
from gdlab.engine.plan import Build, plan
from gdlab.engine.space import Over, SpaceError, space
from gdlab.types import Array, Point, Process

if TYPE_CHECKING:
    import xarray


def evaluate(
    fn: Callable[..., Any],
    over: Over,
    *,
    fixed: Mapping[str, Any] | None = None,
    static: Sequence[str] = (),
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> "xarray.Dataset":
    """Evaluate a pure function at every point of a labelled space, in as few compiled programs as its shapes allow.

    Args:
        fn: called with the axes' names as keywords; returns an array, or a dict of arrays by name. One array becomes
        the
            variable `value`.
        over: `{name: values}`, in the order in which the dims shall stand; see `gdlab.engine.space.space`.
        fixed: further keywords, the same at every point; traced, like the axes.
        static: axes of numbers that must not be traced. Those that can't be are found out, at the price of a few
        traces.
        chunk: how many points one call evaluates; by default as many as memory allows, up to some thousands.
        progress: called with a `Progress` as work gets done.

    Raises:
        gdlab.engine.space.SpaceError: a space that is empty, ambiguous, or has an axis that `fn` does not take.
    """
    points = space(over)
    numbers = dict(fixed or {})
    names = (*points.names, *numbers)
    parameters = inspect.signature(fn).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(f"{name!r} is an axis, and fixed as well")
        if name not in parameters and not open_ended:
            raise SpaceError(f"the function takes no {name!r}; it takes {', '.join(parameters) or 'nothing'}")
    for name, value in numbers.items():
        if np.asarray(value).dtype.kind not in "iuf":
            raise SpaceError(f"what is fixed must be a number, and {name} is {value!r}")

    def build(values: Mapping[str, Any]) -> Process:
        return function(lambda **point: fn(**values, **point), names, numbers)

    return run(points, build, static=static, chunk=chunk, progress=progress)


def function(fn: Callable[..., Any], names: tuple[str, ...], fixed: Mapping[str, Any]) -> Process:
    """A plain function as a process: no steps, everything at the finish."""

    def finish(point: Point, carry: Any) -> dict[str, Array]:
        result = fn(**point)
        named = result if isinstance(result, Mapping) else {"value": result}
        return {name: jnp.asarray(value) for name, value in named.items()}

    return Process(
        start=lambda point: (),
        advance=lambda point, carry, first, blocks: (carry, {}),
        status=lambda carry: {},
        finish=finish,
        steps=0,
        every=1,
        names=names,
        fixed=fixed,
    )


def run(
    points: Any,
    build: Build,
    *,
    static: Sequence[str] = (),
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> "xarray.Dataset":
    """Plan, execute and assemble in memory."""
    groups = plan(points, build, static)
    memory = Memory()
    timings = execute(groups, memory, chunk=chunk, progress=progress)
    steps, every = groups[0].process.steps, groups[0].process.every
    pieces = [Piece(group.static, group.lanes, results) for group, results in zip(groups, memory.results, strict=True)]
    data = assemble(points, pieces, memory.series, np.arange(0, steps, every))
    data.attrs["compile_seconds"] = sum(timing.compile_seconds for timing in timings)
    data.attrs["run_seconds"] = sum(timing.run_seconds for timing in timings)
    return data
