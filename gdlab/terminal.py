"""What the command line prints: a progress bar, tables, summaries."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Table
from rich.text import Text

from gdlab import results

if TYPE_CHECKING:
    import xarray

    from gdlab.bench.update_cost import Cost
    from gdlab.config import Config
    from gdlab.engine.execute import Progress as State


class Bar:
    """A progress bar on standard error: runs done, time left, and how many runs have diverged so far."""

    def __init__(self, quiet: bool) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("runs"),
            TextColumn("{task.fields[diverged]} diverged"),
            TimeElapsedColumn(),
            Remaining(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._task = self._bar.add_task("tracing", total=None, diverged=0)

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def __call__(self, state: "State") -> None:
        verb = "compiling" if state.phase == "compile" else "running"
        self._bar.update(
            self._task,
            description=f"{verb} {state.label} ({state.group + 1}/{state.groups})",
            total=state.lanes,
            completed=int(state.done),
            diverged=state.status.get("diverged", 0),
        )


def described(config: "Config") -> str:
    """How many runs of how many steps a config asks for, in one line."""
    from gdlab.config import over

    sizes = {"rule": len(config.rules)}
    for names, values in over(config).items():
        sizes[names if isinstance(names, str) else "+".join(names)] = values if isinstance(values, int) else len(values)
    product = " x ".join(f"{size} {name}" for name, size in sizes.items())
    return f"{config.name}: {product} = {_runs(int(np.prod(list(sizes.values()))))} of {config.train.steps} steps"


def _runs(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"


def summary(folder: Path) -> None:
    """What a results folder holds."""
    data, told = results.open_results(folder), results.read_json(folder / results.PROVENANCE)
    runs = int(np.prod([data.sizes[dim] for dim in data["final_loss"].dims]))
    click.echo(f"{told['name']}: {' x '.join(f'{data.sizes[d]} {d}' for d in data['final_loss'].dims)} = {_runs(runs)}")
    diverged, converged = int((data["diverged_at"] >= 0).sum()), int((data["converged_at"] >= 0).sum())
    took = f"{told['wall_seconds']:.0f} s, {told['compile_seconds']:.0f} s of it compiling" if "groups" in told else ""
    click.echo(f"{diverged} diverged, {converged} met a tolerance" + (f"; {took}" if took else "; not finished"))
    print_best(data, "final_loss")
    click.echo(f"\n{folder}")
    for path in sorted(folder.iterdir()):
        inside = f"  {', '.join(sorted(p.name for p in path.iterdir()))}" if path.name == results.FIGURES else ""
        click.echo(f"  {path.name}{inside}")


def print_best(data: "xarray.Dataset", metric: str) -> None:
    """A table of the best hyperparameters of each rule."""
    from gdlab.best import best, matters

    chosen = best(data, metric)
    axes = [str(name) for name in chosen.coords if name != "rule"]
    others = [name for name in ("final_loss", "eval_loss", "eval_accuracy") if name in data and name != metric]
    bands = _bands(data, metric)
    table = Table(box=None, pad_edge=False, header_style="bold")
    medians = (f"median {metric}", *(f"median {name}" for name in others))
    for column in ("rule", *axes, *medians, *(["good rates", "seed spread"] if bands else []), "runs", "diverged"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for index, rule in enumerate(chosen["rule"].values if "rule" in chosen.dims else [""]):
        one = chosen.isel(rule=index) if "rule" in chosen.dims else chosen
        if not one["found"]:
            blanks = ("-" for _ in (*others, *(bands[index] if bands else ())))
            table.add_row(Text(str(rule)), *("-" for _ in axes), "diverged", *blanks, *_counts(one))
            continue
        there = _at(data, one, axes)
        own = [bool(np.atleast_1d(matters(data, metric, axis).values)[index]) for axis in axes]
        cells = [shown_number(one[axis].item()) if has else "any" for axis, has in zip(axes, own, strict=True)]
        more = [shown_number(float(np.median(there[name].values))) for name in others]
        more += bands[index] if bands else []
        table.add_row(Text(str(rule)), *cells, shown_number(one[metric].item()), *more, *_counts(one))
    console().print(table)


def _bands(data: "xarray.Dataset", metric: str) -> list[list[str]]:
    """For each rule its good rates and how far its seeds are apart; nothing where there is no start to compare with."""
    from gdlab.rate_band import rate_band

    if "lr" not in data.dims or "step" not in data.dims or data.sizes["lr"] < 3:
        return []
    found = rate_band(data, metric)
    columns = [np.atleast_1d(found[name].values) for name in ("low", "high", "decades", "spread")]
    return [
        [f"{low:.2g} to {high:.2g} ({decades:.1f} decades)", f"{spread:.2g}"]
        for low, high, decades, spread in zip(*columns, strict=True)
    ]


def print_costs(costs: "Iterable[Cost]") -> None:
    """A line for each rule as it is measured."""
    click.echo(f"{'rule':24}{'ms':>9}  {'optax':24}{'ms':>9}{'ratio':>8}")
    for cost in costs:
        theirs = f"{cost.their_name:24}{1e3 * cost.their_seconds:9.3f}{cost.ratio:8.2f}" if cost.their_name else ""
        click.echo(f"{cost.kind:24}{1e3 * cost.seconds:9.3f}  {theirs}".rstrip())


def _at(data: "xarray.Dataset", one: "xarray.Dataset", axes: list[str]) -> "xarray.Dataset":
    """The runs, one for each seed, at the chosen values of the axes."""
    there = data.sel(rule=one["rule"].item()) if "rule" in data.dims else data
    for axis in axes:
        if axis in there.coords and there[axis].dims:
            (dim,) = there[axis].dims
            there = there.isel({dim: np.flatnonzero(there[axis].values == one[axis].item())})
    return there


def _counts(one: "xarray.Dataset") -> tuple[str, str]:
    return str(int(one["runs"])), str(int(one["diverged"]))


def shown_number(value: Any) -> str:
    """A number to four digits; anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def console() -> Console:
    """Where tables are printed."""
    # A pipe has no width of its own; tables must not be cut to 80 columns there.
    found = Console(soft_wrap=False)
    return found if found.is_terminal else Console(width=200)
