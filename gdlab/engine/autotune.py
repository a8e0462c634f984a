"""How many lanes a chunk should have: found by a short measurement, and remembered."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from gdlab.engine.chunk_programs import programs
from gdlab.engine.layout import Layout, rows_needed
from gdlab.engine.plan import Group, describe, records
from gdlab.engine.tile_run import Flight

# Operations from which on a measurement pays: below, compiling the candidates costs more than they can save.
WORTHWHILE = 2e12
# Operations that a chunk is timed for.
SAMPLE = 5e8
# A width must be faster by this factor to be preferred to the one that needs no measurement.
CLEARLY = 0.95


def tuned(
    group: Group,
    mesh: Mesh,
    lay_out: Callable[[int | None], Layout],
    memory: Path | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Layout:
    """The layout of a group with the fastest chunk; `lay_out(chunk)` gives that for a chunk of so many lanes.

    Only work of more than `WORTHWHILE` operations is measured. `memory` is the file in which what was found is kept, by
    program and device; the same program then gets the same chunk at once. `note` is called with a text where a chunk
    was measured, and where the file can't be used.
    """
    first = lay_out(None)
    if jax.process_count() > 1:  # what one process measures, the others would not: but they must run one program
        return first
    if group.cost.steps(records(group.process)) * group.size < WORTHWHILE or not first.segments:
        return first
    device = mesh.devices.flat[0]
    key = f"{group.cost.program} on {mesh.size} x {device.device_kind}"
    known = _read(memory, note)
    if key not in known:
        times = {}
        for factor in (1, 0.25, 0.5, 2, 4):
            layout = lay_out(max(1, int(first.chunk * factor)))
            if layout.chunk not in times:
                times[layout.chunk] = seconds(group, layout, mesh)
        fastest = min(times, key=lambda chunk: times[chunk])
        known[key] = fastest if times[fastest] < CLEARLY * times[first.chunk] else first.chunk
        _write(memory, known)
        note(
            f"{describe(group)}: chunks of {known[key]} runs were measured to be the fastest. Another measurement may "
            "choose another size, which changes the last digits of the results. To fix this one: "
            f"compute.chunk={known[key]}"
        )
    return first if known[key] == first.chunk else lay_out(known[key])


def seconds(group: Group, layout: Layout, mesh: Mesh) -> float:
    """What a record of one lane takes, with every device at work on chunks of a layout: the median of five."""
    chunk = group.cost.block * layout.chunk
    blocks = max(1, min(records(group.process), int(SAMPLE / max(1.0, chunk))))
    layout = layout._replace(blocks=blocks, segments=1)
    lanes = np.arange(min(group.size, layout.chunk * mesh.size))
    taken = {name: column[lanes] for name, column in group.columns.items()}
    sample = group._replace(columns=taken)
    rows = rows_needed(sample.sharing(), layout.width)
    flight = Flight(sample, programs(sample, layout, -(-rows // (mesh.size * layout.rows)), mesh), lanes)
    times = []
    for _ in range(6):
        began = time.perf_counter()
        jax.block_until_ready(flight.advance(0).record)
        flight.settle()
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:])) / (blocks * len(lanes))


def _read(path: Path | None, note: Callable[[str], None]) -> dict[str, int]:
    """What was measured before: in this process, and, as far as it can be read, in a file."""
    if path is None:
        return dict(_found)
    try:
        kept = json.loads(path.read_text())
        if not isinstance(kept, dict):
            raise ValueError("it holds no mapping")
        wrong = [value for value in kept.values() if type(value) is not int or not 1 <= value < 2**31]
        if wrong:
            raise ValueError(f"the size of a chunk can't be {json.dumps(wrong[0])[:40]}")
    except FileNotFoundError:
        return dict(_found)
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        note(f"{path}, which keeps the measured sizes of chunks, can't be used ({why}); they are measured again")
        return dict(_found)
    return {**_found, **kept}


def _write(path: Path | None, known: dict[str, int]) -> None:
    _found.update(known)
    if path is None:
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # it is remembered in this process at least
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(known, indent=1))
        os.replace(partial, path)


_found: dict[str, int] = {}
