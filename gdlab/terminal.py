"""What the command line prints: a progress bar, tables, summaries."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
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
from gdlab.errors import UserError
from gdlab.register import Entry

if TYPE_CHECKING:
    import xarray

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
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("rule", *axes, f"median {metric}", *(f"median {name}" for name in others), "runs", "diverged"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for index, rule in enumerate(chosen["rule"].values if "rule" in chosen.dims else [""]):
        one = chosen.isel(rule=index) if "rule" in chosen.dims else chosen
        if not one["found"]:
            table.add_row(Text(str(rule)), *("-" for _ in axes), "diverged", *("-" for _ in others), *_counts(one))
            continue
        there = _at(data, one, axes)
        own = [bool(np.atleast_1d(matters(data, metric, axis).values)[index]) for axis in axes]
        cells = [_number(one[axis].item()) if has else "any" for axis, has in zip(axes, own, strict=True)]
        more = [_number(float(np.median(there[name].values))) for name in others]
        table.add_row(Text(str(rule)), *cells, _number(one[metric].item()), *more, *_counts(one))
    _console().print(table)


def list_shelf(what: str, shelf: Mapping[str, Entry]) -> None:
    """A line for each registered thing."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (what[:-1], "what it is", "hyperparameters" if what != "figures" else "options", "source"):
        table.add_column(column, overflow="fold")
    for kind, entry in sorted(shelf.items()):
        cells = (kind, entry.summary, ", ".join(_parameters(what, entry)), entry.source)
        table.add_row(*(Text(cell) for cell in cells))  # a formula's brackets are not markup
    _console().print(table)


def tell_entry(what: str, shelf: Mapping[str, Entry], name: str) -> None:
    """All that is known of one.

    Raises:
        UserError: there is none of that name.
    """
    if name not in shelf:
        near = get_close_matches(name, shelf, 1)
        raise UserError(f"there is no {what[:-1]} {name!r}" + (f": did you mean {near[0]}?" if near else ""))
    entry = shelf[name]
    click.echo(f"{name}" + (f"  ({entry.source})" if entry.source else "") + "\n")
    click.echo(inspect.getdoc(entry.make) or "")
    title = "options" if what == "figures" else "hyperparameters"
    click.echo(f"\n{title}: {', '.join(_parameters(what, entry)) or 'none'}")


def list_configs(folder: Path) -> None:
    """The configs in a folder, each with its leading comment.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} here")
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.toml")]):
        comments = [line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("# ")]
        said = next((line for line in comments if "yaml-language-server" not in line), "")
        click.echo(f"{path}  {said}")


def _parameters(what: str, entry: Entry) -> list[str]:
    if what == "probes":
        return []
    parameters = list(entry.parameters.values())[1 if what == "figures" else 0 :]
    return [p.name if p.default is p.empty else f"{p.name}={_number(p.default)}" for p in parameters]


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


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _console() -> Console:
    # A pipe has no width of its own; tables must not be cut to 80 columns there.
    console = Console(soft_wrap=False)
    return console if console.is_terminal else Console(width=200)
