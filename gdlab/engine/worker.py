"""What a worker does: it makes the groups of an execution for itself, and runs some lanes of one at a time."""

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
from gdlab.engine.messages import Failed, Lacking, Parcel, Ran, Site, Task, Terms, Unfit
from gdlab.engine.plan import Group
from gdlab.engine.runner import Collected, Runner

# Groups are kept of so many executions.
_KEPT = 2
_groups: OrderedDict[str, tuple[Group, ...]] = OrderedDict()
# The devices are one task's at a time, and so are the caches of programs. The submitting process may be the worker too.
turn = threading.Lock()
# What results depend on of all that JAX can be set to, and the contexts that set it.
_SETTINGS: dict[str, Callable[[Any], Any]] = {
    "jax_enable_x64": jax.enable_x64,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_default_prng_impl": jax.default_prng_impl,
    "jax_threefry_partitionable": jax.threefry_partitionable,
}


def hello() -> dict[str, Any]:
    """What this process is, in types that every version reads (a `Site` as a dict)."""
    devices = jax.local_devices()
    site = Site(platform.node(), versions(), devices[0].platform, devices[0].device_kind, len(devices))
    return site._asdict()


@functools.cache
def versions() -> dict[str, str]:
    """The versions on which it depends whether two processes compute the same, and read each other's pickles."""
    found = {name: importlib.metadata.version(name) for name in ("gdlab", "jax", "jaxlib")}
    return {**found, "Python": ".".join(platform.python_version_tuple()[:2])}


def differing(wanted: Mapping[str, str], site: Site) -> str | None:
    """Why a worker of other versions can't be used; None where they are the same."""
    for name, version in wanted.items():
        theirs = site.versions.get(name, "missing")
        if theirs != version:
            return (
                f"{name} is {version} here but {theirs} on the worker {site.host}, so results would depend on where "
                "they were computed. Install the same versions there"
            )
    return None


def settings_of_jax() -> dict[str, Any]:
    """What JAX is set to here, as far as results depend on it."""
    return {name: getattr(jax.config, name) for name in _SETTINGS}


def digest(groups: Sequence[Group]) -> str:
    """A digest of a plan: which lanes there are, and what they cost."""
    told = hashlib.sha256()
    for group in groups:
        # These may differ from process to process.
        cost = tuple(group.cost._replace(program="", data="", callbacks=()))
        told.update(repr((sorted(group.static), group.outer, group.process.steps, group.process.every, cost)).encode())
        for name, column in group.columns.items():
            told.update(name.encode() + np.ascontiguousarray(column).tobytes())
    return told.hexdigest()


def work(terms: Terms, parcel: Parcel | None, task: Task) -> Ran | Failed | Unfit | Lacking:
    """Do a task. It may be done again, here or elsewhere, and comes to the same."""
    site = Site(**hello())
    wrong = differing(terms.versions, site)
    if wrong is not None:
        return Unfit(wrong)
    with turn, ExitStack() as stack:
        for name, value in terms.config.items():
            stack.enter_context(_SETTINGS[name](value))
        if terms.key not in _groups:
            if parcel is None:
                return Lacking()
            try:
                groups = _unpacked(parcel)
            except Exception as error:  # whatever a user's module may raise
                return Unfit(f"the worker {site.host} can't prepare these runs: {_told(error)}")
            if digest(groups) != terms.plan:
                return Unfit(f"the worker {site.host} plans other runs than this process. Put the same code there")
            _groups[terms.key] = groups
            while len(_groups) > _KEPT:
                _groups.popitem(last=False)
        _groups.move_to_end(terms.key)
        try:
            return _ran(_groups[terms.key][task.group], task, terms.compact)
        except Exception as error:  # the other tasks go on
            return Failed(f"{_told(error)} (on {site.host})")


def _unpacked(parcel: Parcel) -> tuple[Group, ...]:
    source = pickle.loads(parcel) if isinstance(parcel, bytes) else parcel
    return tuple(source())


def _ran(group: Group, task: Task, compact: bool) -> Ran:
    mesh = run_mesh(jax.local_devices())
    programs = programs_of(group, task.layout, mesh)
    compiling = sum(program.compile_seconds for program in programs.compile())
    began = time.perf_counter()
    runner, landing = Runner(group, programs, compact=compact), Collected()
    runner.run(task.lanes, landing)
    took = time.perf_counter() - began
    return Ran(landing.records, landing.results, runner.counts, mesh.size, programs.memory, compiling, took)


def _told(error: Exception) -> str:
    """The exception in a line. Of one that a callback raised within a program: the line that names it."""
    lines = str(error).strip().splitlines() or [""]
    line = lines[-1] if any("Traceback (most recent call last)" in line for line in lines) else lines[0]
    return f"{type(error).__name__}: {line}".rstrip(": ")
