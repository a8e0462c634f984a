"""Options of `gdlab bench`, and dispatch to the measurements."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from gdlab.bench.compaction import compaction
from gdlab.bench.comparison import Tell
from gdlab.bench.first_figure import CONFIG, first_figure
from gdlab.bench.landscape_speed import landscape_speed, probe_cost
from gdlab.bench.machine import described, machine
from gdlab.bench.scaling import measured, scaling
from gdlab.bench.scaling_figure import draw, figure_format
from gdlab.bench.sweep_speed import sweep_speed
from gdlab.bench.table import Measured
from gdlab.bench.tasks import chosen
from gdlab.errors import UserError

T = TypeVar("T")

# The default number of repeats.
REPEATS = {"sweep": 5, "rules": 30, "scaling": 5, "compaction": 5, "landscape": 7, "first-figure": 3}
# The number of points of the landscape along each direction.
POINTS = 51


def check(
    what: str, works: Sequence[str], markdown: bool, json_file: Path | None, figure: Path | None, config: Path | None
) -> None:
    """Check the options before anything is measured.

    Raises:
        UserError: an option that does not apply to this measurement, an unknown task, a config that does not exist, or
            a file whose folder does not exist.
    """
    if works and what != "sweep":
        raise UserError(f"--work applies to gdlab bench sweep only, not to gdlab bench {what}")
    if figure is not None and what != "scaling":
        raise UserError(f"--figure applies to gdlab bench scaling only, not to gdlab bench {what}")
    if config is not None and what != "first-figure":
        raise UserError(f"--config applies to gdlab bench first-figure only, not to gdlab bench {what}")
    if what == "first-figure" and not (config or CONFIG).is_file():
        raise UserError(f"{config or CONFIG}: there is no such file; name a config with --config")
    if markdown and what == "rules":
        raise UserError("--markdown does not apply to gdlab bench rules")
    chosen(works)
    if figure is not None:
        figure_format(figure)
    for path in (json_file, figure):
        if path is not None and not path.parent.is_dir():
            raise UserError(f"{path}: there is no folder {path.parent}")


def measure(
    what: str, works: Sequence[str], repeats: int, figure: Path | None, config: Path | None, tell: Tell
) -> Iterator[Measured]:
    """Run a measurement: "sweep" yields a table per task, the others one or two tables."""
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
    elif what == "first-figure":
        yield first_figure(config or CONFIG, repeats, tell)
    else:
        yield compaction(repeats, tell)


def collected(items: Iterable[T], into: list[T]) -> Iterator[T]:
    """Yield the items, and append each of them to the list `into`."""
    for item in items:
        into.append(item)
        yield item
