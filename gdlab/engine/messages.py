"""What a worker is told, and what it answers: plain values, which any executor can carry."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gdlab.engine.layout import Layout
from gdlab.engine.plan import Group

# A function without arguments that returns the groups; or that, pickled.
Parcel: TypeAlias = bytes | Callable[[], Sequence[Group]]


class Site(NamedTuple):
    """What a worker is."""

    host: str
    versions: dict[str, str]
    platform: str  # "cpu", "gpu" or "tpu"
    device: str  # the kind of its devices
    devices: int


class Terms(NamedTuple):
    """What the tasks of an execution have in common."""

    versions: dict[str, str]
    config: dict[str, Any]  # of JAX: what results depend on
    key: str  # the name of the parcel
    plan: str  # the digest of the groups
    compact: bool


class Task(NamedTuple):
    """Some lanes of a group, to be run to their end."""

    group: int
    lanes: np.ndarray
    layout: Layout


class Lacking(NamedTuple):
    """The worker has no groups of that name yet, and was given no parcel."""


class Unfit(NamedTuple):
    """The worker can't do any task of this execution; the text says why."""

    reason: str


class Failed(NamedTuple):
    """The task raised an exception; the text says which."""

    reason: str


class Ran(NamedTuple):
    """The task is done: `records` by the number of their first, `results`, both with the lanes first."""

    records: list[tuple[int, Mapping[str, np.ndarray]]]
    results: Mapping[str, np.ndarray]
    counts: Mapping[str, int]  # how many lanes had each status at their end
    devices: int
    memory: int  # bytes
    compile_seconds: float
    run_seconds: float
