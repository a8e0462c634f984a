"""Public entry point of the engine: evaluates a function over a labelled space and returns a Dataset."""

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
from gdlab.engine.execute import DEFAULT_SETTINGS, Settings, execute
from gdlab.engine.group_metadata import to_json
from gdlab.engine.plan import Build, Group, plan
from gdlab.engine.progress import Progress
from gdlab.engine.read_store import open_store, space_to_json
from gdlab.engine.sink import MemorySink
from gdlab.engine.space import Over, Space, refuse_repeats, space
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
    counts: Sequence[str] = ("seed",),
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    folder: Path | None = None,
    executor: Any = None,
) -> "xarray.Dataset":
    """Evaluate a pure function at every point of a labelled space, in as few compiled programs as its shapes allow.

    Args:
        fn: called with the names of the axes as keywords; returns an array, or a dict of arrays by name. A single array
            becomes the variable `value`.
        over: `{name: values}`, in the order of the dims; see `gdlab.engine.space.space`.
        fixed: further keyword arguments, the same at every point; traced, like the axes.
        static: axes of numbers that must not be traced. Axes that can't be traced are found by trying, which takes a
            few traces.
        outer: axes that determine work which several points share; this work is then done once for these points.
        counts: axes whose values may be given as a count n, which means 0, 1, ..., n - 1.
        chunk: how many points one call of the compiled body evaluates; chosen by the engine by default.
        progress: called with a `Progress` as the evaluation proceeds.
        stop: called every few seconds; the evaluation stops if it returns true.
        folder: results are written to a subfolder of this folder as they are computed. Repeating a call that was
            stopped or killed continues it, and repeating a finished call reads its results. The subfolder is named by a
            digest of everything that determines the results. A function that calls back to Python (`jax.pure_callback`,
            `jax.debug.print`, ...) is not stored, since the callback can't be identified.
        executor: its workers evaluate the points instead of this process; see
            `gdlab.engine.executor_adapter.ExecutorAdapter`.

    Raises:
        gdlab.engine.space.SpaceError: a space that is empty or ambiguous, an axis that `fn` does not take, or a value
            that is twice on an axis. Of numbers drawn with replacement keep the distinct ones (`np.unique`).
        gdlab.engine.execute.Stopped: `stop` returned true.
        gdlab.engine.read_store.StoreError: another process writes the same results to `folder`.
        ValueError: `folder` and `executor` are both given.
        gdlab.engine.executor_adapter.WorkersError, gdlab.engine.distribute.FailedRunsError: see
            `gdlab.engine.distribute.execute_on`.
    """
    assigned = functools.partial(_assigned, fn, over, fixed, tuple(outer), tuple(counts))
    build, points = assigned()
    settings = Settings(chunk=chunk, progress=progress, stop=stop)
    refuse_repeats(points)
    if folder is not None:
        if executor is not None:
            raise ValueError("an executor's workers do not write to a folder: give `folder` or `executor`, not both")
        groups = plan(points, build, static)
        if not any(group.cost.callbacks for group in groups):
            return _stored(points, groups, folder, settings)
    return run(points, build, static=static, settings=settings, executor=executor, assigned=assigned)


def _stored(points: Space, groups: Sequence[Group], folder: Path, settings: Settings) -> "xarray.Dataset":
    """Execute into a store in a subfolder, or complete the store that is there."""
    inputs: list[Any] = [space_to_json(points), jax.default_backend(), jax.__version__]
    for group in groups:
        columns = {name: (column.dtype.str, column.tobytes()) for name, column in group.columns.items()}
        fixed = {name: np.asarray(value) for name, value in group.process.fixed.items()}
        numbers = {name: (value.dtype.str, value.shape, value.tobytes()) for name, value in fixed.items()}
        static = {name: to_json(value) for name, value in group.static.items()}
        inputs.append((group.cost.program, static, columns, numbers))
    home = folder / hashlib.sha256(repr(inputs).encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    with Store(home, points, resume=True) as store:
        execute(groups, store, settings)
    return open_store(home, finished=True)


def _assigned(
    fn: Callable[..., Any],
    over: Over,
    fixed: Mapping[str, Any] | None,
    outer: tuple[str, ...],
    counts: tuple[str, ...],
) -> tuple[Build, Space]:
    """The space, and the build that evaluates a function over it."""
    points = space(over, counts)
    numbers = dict(fixed or {})
    names = (*points.names, *numbers)
    parameters = inspect.signature(fn).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(f"{name!r} is both an axis and fixed")
        if name not in parameters and not open_ended:
            raise SpaceError(f"the function takes no {name!r}; it takes {', '.join(parameters) or 'nothing'}")
    for name, value in numbers.items():
        if np.asarray(value).dtype.kind not in "iuf":
            raise SpaceError(f"fixed[{name!r}] must be a number, not {value!r}")

    def build(values: Mapping[str, Any]) -> Process:
        given = {name: value for name, value in values.items() if value is not ABSENT}
        here = tuple(name for name in names if values.get(name) is not ABSENT)
        process = function(lambda **point: fn(**given, **point), here, numbers)
        return process._replace(outer=tuple(name for name in here if name in outer))

    return build, points


def function(fn: Callable[..., Any], names: tuple[str, ...], fixed: Mapping[str, Any]) -> Process:
    """A plain function as a process without steps, which evaluates it in `finish`."""

    def finish(point: Point, carry: Any) -> dict[str, Array]:
        result = fn(**point)
        named = result if isinstance(result, Mapping) else {"value": result}
        return {name: jnp.asarray(value) for name, value in named.items()}

    return Process(
        start=lambda point: (),
        begin=lambda point, index: (),
        step=lambda point, carry, shared, index: (carry, shared, {}),
        check=lambda point, before, after, index: (after, jnp.asarray(False)),
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
    settings: Settings = DEFAULT_SETTINGS,
    executor: Any = None,
    assigned: Callable[[], tuple[Build, Space]] | None = None,
) -> "xarray.Dataset":
    """Plan, execute and assemble in memory.

    With an executor, `assigned` must be a function that returns `build` and `points` again, and can be pickled.
    """
    groups = plan(points, build, static)
    sink = MemorySink()

    def assembled() -> "xarray.Dataset":
        pieces = [Piece(group.covers, results) for group, results in zip(groups, sink.results, strict=True)]
        steps, every = groups[0].process.steps, groups[0].process.every
        return assemble(points, pieces, sink.series_names, np.arange(0, steps, every))

    if executor is None:
        timings = execute(groups, sink, settings)
    else:
        assert assigned is not None
        try:
            timings = execute_on(executor, groups, functools.partial(planned, assigned, static), sink, settings)
        except FailedRunsError as failed:
            failed.data = assembled()
            raise
    data = assembled()
    data.attrs["compile_seconds"] = sum(timing.compile_seconds for timing in timings)
    data.attrs["run_seconds"] = sum(timing.run_seconds for timing in timings)
    return data


def planned(assigned: Callable[[], tuple[Build, Space]], static: Sequence[str]) -> tuple[Group, ...]:
    """The groups of the build and the space that `assigned` returns."""
    build, points = assigned()
    return plan(points, build, static)
