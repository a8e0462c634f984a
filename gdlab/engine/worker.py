"""The worker side of a distributed execution: builds the groups once, and runs tiles of them."""

import functools
import hashlib
import importlib.metadata
import pickle
import platform
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import jax
import numpy as np

from gdlab.engine.execute import programs_of, run_mesh
from gdlab.engine.messages import (
    CommonSettings,
    GroupsNeeded,
    GroupSource,
    TaskDone,
    TaskFailed,
    TileTask,
    WorkerInfo,
    WorkerRejected,
)
from gdlab.engine.plan import Group
from gdlab.engine.runner import CollectedTile, Runner

# The number of executions whose groups are kept in memory.
_KEPT = 2
_groups: OrderedDict[str, tuple[Group, ...]] = OrderedDict()
# One task at a time uses the devices and the caches of programs. The submitting process may be a worker too.
device_lock = threading.Lock()
# The settings of JAX on which results depend, and the contexts that set them.
_SETTINGS: dict[str, Callable[[Any], Any]] = {
    "jax_enable_x64": jax.enable_x64,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_default_prng_impl": jax.default_prng_impl,
    "jax_threefry_partitionable": jax.threefry_partitionable,
}


def hello() -> dict[str, Any]:
    """The `WorkerInfo` of this process as a dict, which every version of gdlab can read."""
    devices = jax.local_devices()
    info = WorkerInfo(platform.node(), versions(), devices[0].platform, devices[0].device_kind, len(devices))
    return info._asdict()


@functools.cache
def versions() -> dict[str, str]:
    """The versions that must be equal for two processes to compute the same results and read each other's pickles."""
    found = {name: importlib.metadata.version(name) for name in ("gdlab", "jax", "jaxlib")}
    return {**found, "Python": ".".join(platform.python_version_tuple()[:2])}


def version_mismatch(wanted: Mapping[str, str], worker: WorkerInfo) -> str | None:
    """Why a worker can't be used: a version differs. None if all are equal."""
    for name, version in wanted.items():
        theirs = worker.versions.get(name, "missing")
        if theirs != version:
            return (
                f"{name} is {version} here but {theirs} on the worker {worker.host}, so results would depend on where "
                "they are computed. Install the same versions there"
            )
    return None


def jax_settings() -> dict[str, Any]:
    """The settings of JAX in this process on which results depend."""
    return {name: getattr(jax.config, name) for name in _SETTINGS}


def digest(groups: Sequence[Group]) -> str:
    """A digest of a plan: its runs and their costs."""
    sha = hashlib.sha256()
    for group in groups:
        cost = tuple(group.cost._replace(program="", data="", callbacks=()))  # these may differ between processes
        sha.update(repr((sorted(group.static), group.outer, group.process.steps, group.process.every, cost)).encode())
        for name, column in group.columns.items():
            sha.update(name.encode() + np.ascontiguousarray(column).tobytes())
    return sha.hexdigest()


def work(
    common: CommonSettings, source: GroupSource | None, task: TileTask
) -> TaskDone | TaskFailed | WorkerRejected | GroupsNeeded:
    """Run a task. Tasks are idempotent: running one again, here or elsewhere, gives the same result."""
    info = WorkerInfo(**hello())
    mismatch = version_mismatch(common.versions, info)
    if mismatch is not None:
        return WorkerRejected(mismatch)
    with device_lock, ExitStack() as stack:
        for name, value in common.config.items():
            stack.enter_context(_SETTINGS[name](value))
        if common.key not in _groups:
            if source is None:
                return GroupsNeeded()
            try:
                groups = tuple((pickle.loads(source) if isinstance(source, bytes) else source)())
            except Exception as error:  # the code of a user's module may raise anything
                return WorkerRejected(f"the worker {info.host} can't plan these runs: {_described(error)}")
            if digest(groups) != common.plan:
                return WorkerRejected(
                    f"the worker {info.host} plans other runs than this process. Install the same code there"
                )
            _groups[common.key] = groups
            while len(_groups) > _KEPT:
                _groups.popitem(last=False)
        _groups.move_to_end(common.key)
        try:
            return _run(_groups[common.key][task.group], task, common.compact)
        except Exception as error:  # the other tasks continue
            return TaskFailed(f"{_described(error)} (on {info.host})")


def _run(group: Group, task: TileTask, compact: bool) -> TaskDone:
    mesh = run_mesh(jax.local_devices())
    programs = programs_of(group, task.layout, mesh)
    fresh = programs.compile()
    compile_seconds = sum(program.compile_seconds for program in fresh)
    began = time.perf_counter()
    runner, tile = Runner(group, programs, compact=compact), CollectedTile()
    runner.run(task.runs, tile)
    run_seconds = time.perf_counter() - began
    return TaskDone(
        tile.records,
        tile.results,
        runner.counts,
        mesh.size,
        programs.memory,
        programs=len(fresh),
        compile_seconds=compile_seconds,
        run_seconds=run_seconds,
    )


def _described(error: Exception) -> str:
    """An exception in one line. If a callback raised it within a program: the last line, which names it."""
    lines = str(error).strip().splitlines() or [""]
    line = lines[-1] if any("Traceback (most recent call last)" in line for line in lines) else lines[0]
    return f"{type(error).__name__}: {line}".rstrip(": ")
