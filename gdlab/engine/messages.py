"""The messages between an execution and its workers: plain values, which any executor can send."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gdlab.engine.layout import Layout
from gdlab.engine.plan import Group

# A function without arguments that returns the groups, or that function pickled.
GroupSource: TypeAlias = bytes | Callable[[], Sequence[Group]]


class WorkerInfo(NamedTuple):
    """Host, versions and devices of a worker."""

    host: str
    versions: dict[str, str]
    platform: str  # "cpu", "gpu" or "tpu"
    device: str  # the kind of its devices
    devices: int


class CommonSettings(NamedTuple):
    """Settings that are the same for all tasks of an execution."""

    versions: dict[str, str]
    config: dict[str, Any]  # the settings of JAX on which results depend
    key: str  # identifies the group source
    plan: str  # the digest of the groups
    compact: bool


class TileTask(NamedTuple):
    """Some runs of a group, to be run to their end."""

    group: int
    runs: np.ndarray
    layout: Layout


class GroupsNeeded(NamedTuple):
    """The worker does not have the groups yet, and the task came without their source."""


class WorkerRejected(NamedTuple):
    """The worker can't run any task of this execution; `reason` says why."""

    reason: str


class TaskFailed(NamedTuple):
    """The task raised an exception; `reason` describes it."""

    reason: str


class TaskDone(NamedTuple):
    """The results of a task. In all arrays the runs come first."""

    records: list[tuple[int, Mapping[str, np.ndarray]]]  # (number of the first record, records by name)
    results: Mapping[str, np.ndarray]
    counts: Mapping[str, int]  # the number of runs that ended with each status
    devices: int
    memory: int  # bytes
    programs: int  # programs that were compiled
    compile_seconds: float
    run_seconds: float
