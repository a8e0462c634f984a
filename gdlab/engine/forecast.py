"""Predict the programs, chunks, memory and time of a plan."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from gdlab.engine.chunk_programs import chunk_programs
from gdlab.engine.execute import DEFAULT_SETTINGS, Settings, layout_of, run_mesh
from gdlab.engine.layout import Layout, rows_needed
from gdlab.engine.plan import Group, describe, records
from gdlab.engine.tile_run import TileRun

# Operations of a chunk in one timed call.
SAMPLE = 5e8


class Forecast(NamedTuple):
    """The predicted layout, memory and time of one group."""

    label: str
    runs: int
    layout: Layout
    memory: int  # estimated bytes of a tile
    seconds: float  # of running, without compiling; NaN for a plain function


def forecast(
    groups: Sequence[Group], devices: Sequence[jax.Device], settings: Settings = DEFAULT_SETTINGS
) -> list[Forecast]:
    """Predict each group: compile its programs, and time a few records of some of its runs."""
    mesh = run_mesh(devices)
    forecasts = []
    for group in groups:
        layout, cost = layout_of(group, settings, mesh), group.cost
        memory = min(layout.tile, group.size) * (3 * cost.carry + 2 * layout.blocks * cost.record + 2 * cost.result)
        memory += mesh.size * layout.chunk * cost.live
        each = seconds_per_record(group, layout, mesh) if layout.segments else np.nan
        seconds = each * group.size * records(group.process)
        forecasts.append(Forecast(describe(group), group.size, layout, memory, seconds))
    return forecasts


def stored_bytes(group: Group) -> int:
    """The bytes of a group's results, its axes and its steps in a store. Most results can hardly be compressed."""
    count, cost = records(group.process), group.cost
    axes = sum(column.nbytes for column in group.columns.values())
    steps = 8 * count if cost.stored_record else 0
    return group.size * (count * cost.stored_record + cost.stored_result) + axes + steps


def seconds_per_record(group: Group, layout: Layout, mesh: Mesh) -> float:
    """Seconds for one record of one run while every device evaluates a chunk of the layout: the median of five."""
    operations = group.cost.block * layout.chunk
    blocks = max(1, min(records(group.process), int(SAMPLE / max(1.0, operations))))
    layout = layout._replace(blocks=blocks, segments=1)
    runs = np.arange(min(group.size, layout.chunk * mesh.size))
    rows = rows_needed(group.outer_counts(runs), layout.width)
    programs = chunk_programs(group, layout, -(-rows // (mesh.size * layout.rows)), mesh)
    tile = TileRun(group, programs, runs)
    times = []
    for _ in range(6):  # the first call also compiles
        began = time.perf_counter()
        jax.block_until_ready(tile.advance(0).record)
        tile.wait()
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:])) / (blocks * len(runs))
