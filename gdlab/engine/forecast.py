"""What running a plan will take: programs, chunks, memory, time."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from gdlab.engine.autotune import seconds
from gdlab.engine.execute import NO_WISHES, Settings, layout_of, run_mesh
from gdlab.engine.layout import Layout
from gdlab.engine.plan import Group, describe, records


class Forecast(NamedTuple):
    """Of one group."""

    label: str
    runs: int
    layout: Layout
    memory: int  # bytes of all that is under way at once, about
    seconds: float  # of running, compiling apart; NaN for a plain function


def forecast(groups: Sequence[Group], devices: Sequence[jax.Device], settings: Settings = NO_WISHES) -> list[Forecast]:
    """For each group what it will take. A few steps of each are timed, so its programs for that are compiled."""
    mesh = run_mesh(devices)
    told = []
    for group in groups:
        layout, cost = layout_of(group, settings, mesh), group.cost
        memory = min(layout.tile, group.size) * (3 * cost.carry + 2 * layout.blocks * cost.record + 2 * cost.result)
        memory += mesh.size * layout.chunk * cost.live
        each = seconds(group, layout, mesh) if layout.segments else np.nan
        told.append(Forecast(describe(group), group.size, layout, memory, each * group.size * records(group.process)))
    return told
