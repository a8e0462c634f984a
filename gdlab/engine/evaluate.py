"""The engine's door: a function or a process, and a space, in; a labelled Dataset out."""

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.engine.axis_values import ABSENT, SpaceError
from gdlab.engine.dataset import Piece, assemble
from gdlab.engine.distribute import FailedRunsError, execute_on
from gdlab.engine.execute import Settings, execute
from gdlab.engine.group_metadata import plain
from gdlab.engine.plan import Build, Group, plan
from gdlab.engine.progress import Progress
from gdlab.engine.read_store import open_store, space_to_json
from gdlab.engine.sink import Memory
from gdlab.engine.space import Over, Space, space
from gdlab.engine.write_store import Store
from gdlab.types import Array, Point, Process

if TYPE_CHECKING:
    import xarray


def evaluate(
    fn: Callable[..., Any],
    over: Over,
    *,
    fixed: Mapping[str, Any] | None = None,
    static: Sequence[str] = (),
    outer: Sequence[str] = (),
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    folder: Path | None = None,
    executor: Any = None,
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
        outer: axes on which work depends that points share: it is then done once for a row of them.
        chunk: how many points one call evaluates; by default as many as memory allows, up to some thousands.
        progress: called with a `Progress` as work gets done.
        stop: asked every few seconds: whether to stop there.
        folder: where results are kept as they come, in a folder of their own; a call that was stopped, or killed, then
            goes on from there, and one for what is there already only reads it. What is computed has its name from all
            that decides it, so that nothing stale is read. Nothing is kept of a function that calls back to Python
            (`jax.pure_callback`, `jax.debug.print`, ...): what that does can't be named.
        executor: whose workers evaluate it, if not this process: see `gdlab.engine.executor_adapter.Crew`.

    Raises:
        gdlab.engine.space.SpaceError: a space that is empty, ambiguous, or has an axis that `fn` does not take.
        gdlab.engine.execute.Stopped: `stop` said so.
        gdlab.engine.read_store.StoreError: another process writes to the same results in `folder`.
        ValueError: `folder` and `executor` together.
        gdlab.engine.executor_adapter.WorkersError, gdlab.engine.distribute.FailedRunsError: see
            `gdlab.engine.distribute.execute_on`.
    """
    assigned = functools.partial(_assigned, fn, over, fixed, tuple(outer))
    build, points = assigned()
    if folder is not None:
        if executor is not None:
            raise ValueError(
                "results are kept in a folder by this process, not by an executor's workers: give only one"
            )
        groups = plan(points, build, static)
        if not any(group.cost.callbacks for group in groups):
            return _kept(points, groups, folder, Settings(chunk=chunk, progress=progress, stop=stop))
    return run(
        points, build, static=static, chunk=chunk, progress=progress, stop=stop, executor=executor, assigned=assigned
    )


def _kept(points: Space, groups: Sequence[Group], folder: Path, settings: Settings) -> "xarray.Dataset":
    """Execute into a store within a folder, or what is left of it."""
    decides: list[Any] = [space_to_json(points), jax.default_backend(), jax.__version__]
    for group in groups:
        columns = {name: (column.dtype.str, column.tobytes()) for name, column in group.columns.items()}
        fixed = {name: np.asarray(value) for name, value in group.process.fixed.items()}
        numbers = {name: (value.dtype.str, value.shape, value.tobytes()) for name, value in fixed.items()}
        called = {name: plain(value) for name, value in group.static.items()}
        decides.append((group.cost.program, called, columns, numbers))
    text = repr(decides)
    home = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    with Store(home, points, resume=True) as store:
        execute(groups, store, settings)
    return open_store(home, finished=True)


def _assigned(
    fn: Callable[..., Any], over: Over, fixed: Mapping[str, Any] | None, outer: tuple[str, ...]
) -> tuple[Build, Space]:
    """A function over a space in the engine's terms."""
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
        given = {name: value for name, value in values.items() if value is not ABSENT}
        here = tuple(name for name in names if values.get(name) is not ABSENT)
        process = function(lambda **point: fn(**given, **point), here, numbers)
        return process._replace(outer=tuple(name for name in here if name in outer))

    return build, points


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
    compact: bool = True,
    progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    executor: Any = None,
    assigned: Callable[[], tuple[Build, Space]] | None = None,
) -> "xarray.Dataset":
    """Plan, execute and assemble in memory.

    The workers of an executor need `assigned`, which returns `build` and `points` once more and can be pickled.
    """
    groups = plan(points, build, static)
    memory, settings = Memory(), Settings(chunk=chunk, compact=compact, progress=progress, stop=stop)

    def assembled() -> "xarray.Dataset":
        pieces = [Piece(group.covers, results) for group, results in zip(groups, memory.results, strict=True)]
        steps, every = groups[0].process.steps, groups[0].process.every
        return assemble(points, pieces, memory.series_names, np.arange(0, steps, every))

    if executor is None:
        timings = execute(groups, memory, settings)
    else:
        assert assigned is not None
        try:
            timings = execute_on(executor, groups, functools.partial(planned, assigned, static), memory, settings)
        except FailedRunsError as failed:
            failed.data = assembled()
            raise
    data = assembled()
    data.attrs["compile_seconds"] = sum(timing.compile_seconds for timing in timings)
    data.attrs["run_seconds"] = sum(timing.run_seconds for timing in timings)
    return data


def planned(assigned: Callable[[], tuple[Build, Space]], static: Sequence[str]) -> tuple[Group, ...]:
    """The groups of a space and a build that another function returns."""
    build, points = assigned()
    return plan(points, build, static)
