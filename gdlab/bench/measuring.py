"""Which measurement `gdlab bench` makes, and whether it was asked for in a way that makes sense."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from gdlab.bench.compaction import compaction
from gdlab.bench.contest import Tell
from gdlab.bench.landscape_speed import landscape_speed, probe_cost
from gdlab.bench.machine import described, machine
from gdlab.bench.scaling import measured, scaling
from gdlab.bench.scaling_figure import draw, figure_format
from gdlab.bench.sweep_speed import sweep_speed
from gdlab.bench.table import Measured
from gdlab.bench.tasks import chosen
from gdlab.errors import UserError

T = TypeVar("T")

# How often each thing is measured unless the user says.
REPEATS = {"sweep": 5, "rules": 30, "scaling": 5, "compaction": 5, "landscape": 7}
# Points of the landscape along each direction.
POINTS = 51


def check(what: str, works: Sequence[str], markdown: bool, json_file: Path | None, figure: Path | None) -> None:
    """Refuse what would come out wrong, before anything is measured.

    Raises:
        UserError: an option that this measurement does not have, an unknown work, a file that can't be written.
    """
    if works and what != "sweep":
        raise UserError(f"--work chooses among the works of gdlab bench sweep; gdlab bench {what} has none")
    if figure is not None and what != "scaling":
        raise UserError(f"--figure is drawn by gdlab bench scaling, not by gdlab bench {what}")
    if markdown and what == "rules":
        raise UserError("--markdown: gdlab bench rules has no page; the others have")
    chosen(works)
    if figure is not None:
        figure_format(figure)
    for path in (json_file, figure):
        if path is not None and not path.parent.is_dir():
            raise UserError(f"{path}: there is no folder {path.parent}")


def measure(what: str, works: Sequence[str], repeats: int, figure: Path | None, tell: Tell) -> Iterator[Measured]:
    """Make the measurement: for "sweep" a table for each work, for the others one or two."""
    if what == "sweep":
        yield from sweep_speed(chosen(works), repeats, tell)
    elif what == "scaling":
        sizes = scaling(repeats, tell)
        if figure is not None:
            draw(sizes, described(machine()), figure)
        yield measured(sizes, repeats)
    elif what == "landscape":
        yield landscape_speed(POINTS, repeats, tell)
        yield probe_cost(repeats, tell)
    else:
        yield compaction(repeats, tell)


def remembered(items: Iterable[T], memory: list[T]) -> Iterator[T]:
    """The items as they come, each put into `memory` too."""
    for item in items:
        memory.append(item)
        yield item
