"""Output of the command line: a progress bar, tables and summaries."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Table
from rich.text import Text

from gdlab.cli.exits import printable
from gdlab.experiment import results

if TYPE_CHECKING:
    import jax
    import xarray

    from gdlab.bench.table import Table as Measurements
    from gdlab.bench.update_cost import RuleCost
    from gdlab.config import Resolved
    from gdlab.engine.execute import Settings
    from gdlab.engine.plan import Group
    from gdlab.engine.progress import Progress as State
    from gdlab.experiment.disk import DiskSpace
    from gdlab.experiment.reproduce import Reproduced


class Bar:
    """A progress bar on standard error: finished runs, time left, and the number of diverged runs."""

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
            description=f"{verb} {escape(printable(state.label))} ({state.group + 1}/{state.groups})",
            total=state.runs,
            completed=int(state.done),
            diverged=state.status.get("diverged", 0),
        )


def described(resolved: "Resolved") -> str:
    """The number of runs and steps of a config, in one line."""
    from gdlab.engine.space import space

    config, points = resolved.config, space(resolved.over)
    sizes = [(len(config.rules), "rule"), *((b.size, b.label or "+".join(b.names)) for b in points.blocks)]
    product = " x ".join(f"{size} {name}" for size, name in sizes)
    return f"{config.name}: {product} = {_runs(len(config.rules) * points.size)} of {config.train.steps} steps"


def _runs(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"


def summary(folder: Path) -> None:
    """Print the contents of a results folder: runs, best hyperparameters, claims, failures and files."""
    from gdlab.analysis.selection import missing

    data, info = results.open_results(folder), results.provenance_of(folder)
    absent = missing(data)
    gone, product = int(absent.sum()), " x ".join(f"{size} {dim}" for dim, size in absent.sizes.items())
    without = f", {gone:,} of them missing" if gone else ""
    click.echo(printable(f"{info['name']}: {product} = {_runs(absent.size)}{without}"))
    diverged, converged = int((data["diverged_at"] >= 0).sum()), int((data["converged_at"] >= 0).sum())
    click.echo(f"{diverged} diverged, {converged} met a tolerance")
    click.echo(_times(info))
    print_best(data, "final_loss")
    print_claims(results.all_claims(folder))
    for failure in info.get("failures", ()):
        click.echo(printable(failure))
    click.echo(f"\n{folder}")
    for path in sorted(folder.iterdir()):
        inside = f"  {', '.join(sorted(p.name for p in path.iterdir()))}" if path.name == results.FIGURES else ""
        click.echo(f"  {path.name}{inside}")


def _times(info: Mapping[str, Any]) -> str:
    """The wall time and its parts, which add up as printed; and the time of the compiler, which overlaps with them."""
    if "groups" not in info:
        return "not finished"
    if "wait_seconds" not in info:  # written by an earlier version
        return f"{info['wall_seconds']:.1f} s in all"
    wait, run, rest = (info[f"{part}_seconds"] for part in ("wait", "run", "rest"))
    # The ends of the parts are rounded rather than the parts, so that these add up to the rounded total.
    waited, ran, total = (round(end, 1) for end in (wait, wait + run, wait + run + rest))
    on_workers = bool(info.get("workers"))  # these compile their own programs
    waits = "" if on_workers else f"{waited:.1f} s tracing and waiting for compilation, "
    running = f"{ran:.1f} s running on workers" if on_workers else f"{ran - waited:.1f} s running"
    return (
        f"{total:.1f} s in all: {waits}{running}, {total - ran:.1f} s for the rest (planning, landscapes, figures)\n"
        f"{info['programs']} programs compiled, {info['compile_seconds']:.1f} s on "
        + ("workers" if on_workers else "background threads")
    )


_STATUS = {"held": "green", "failed": "bold red", "uncertain": "yellow", "unchecked": "dim"}


def print_claims(claims: "Sequence[Mapping[str, Any]]") -> None:
    """Print a line for each record of `claims.json`, followed by the reason for its verdict, if there is one."""
    if claims:
        console().print("", _claims_table(claims))


def _claims_table(claims: "Sequence[Mapping[str, Any]]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("claim", "verdict", "measured", "interval", "expected", "runs"):
        table.add_column(column, justify="left" if column in ("claim", "verdict", "expected") else "right")
    for claim in claims:
        low, high = claim["interval"]
        table.add_row(
            _cell(claim["name"]),
            Text(claim["status"], style=_STATUS[claim["status"]]),
            "-" if claim["value"] is None else f"{claim['value']:.5g}",
            "-" if low is None or high is None or low == high else f"{low:.4g} to {high:.4g}",
            _cell(claim["expected_words"]),
            str(len(claim["measured"])),
        )
        if claim["reason"]:
            table.add_row(_cell(f"  {claim['reason']}", style="dim"))
    return table


def print_reproduced(done: "Sequence[Reproduced]") -> None:
    """Print a line for each experiment: the number of claims with each verdict, and the time in seconds."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("experiment", *_STATUS, "seconds"):
        table.add_column(column, justify="left" if column == "experiment" else "right")
    for one in done:
        counts = [sum(claim["status"] == status for claim in one.claims) for status in _STATUS]
        cells = [Text(str(count or "-"), style=style) for count, style in zip(counts, _STATUS.values(), strict=True)]
        table.add_row(one.slug, *cells, f"{one.seconds:.0f}")
    totals = [sum(claim["status"] == status for one in done for claim in one.claims) for status in _STATUS]
    table.add_row("total", *map(str, totals), f"{sum(one.seconds for one in done):.0f}", style="bold")
    console().print("", table)


def print_best(data: "xarray.Dataset", metric: str, budgets: Sequence[int] = ()) -> None:
    """Print tables with a row for each rule: best hyperparameters, good learning rates, and the best of K points.

    `budgets` are the values of K; without them, the last table is left out.
    """
    from gdlab.analysis.selection import best, locate, matters, median, reason_not_found, rule_per_batch_size, score
    from gdlab.analysis.tuning_budget import seed_interval

    data = rule_per_batch_size(data, metric)
    chosen, interval = best(data, metric), seed_interval(data, metric)
    axes = [str(name) for name in chosen.coords if name != "rule"]
    others = [name for name in ("final_loss", "eval_loss", "eval_accuracy") if name in data and name != metric]
    rules = [str(rule) for rule in chosen["rule"].values] if "rule" in chosen.dims else [""]
    places = locate(data, metric)
    elsewhere = {name: median(score(data, name)).isel(places) for name in others}
    lacking = ["missing"] if chosen["missing"].any() else []
    table = _table(*axes, f"median {metric}", "seed interval", *others, "runs", "diverged", *lacking)
    for index, rule in enumerate(rules):
        at = {"rule": index} if "rule" in chosen.dims else {}
        one, spread = chosen.isel(at), interval.isel(at)
        if not one["found"]:
            reason = reason_not_found(one)
            blanks = ["-"] * len(others)
            table.add_row(_cell(rule), *("-" for _ in axes), reason, "-", *blanks, *_counts(one, lacking))
            continue
        own = [bool(np.atleast_1d(matters(data, metric, axis).values)[index]) for axis in axes]
        cells = [_shown_value(one[axis].item()) if has else "any" for axis, has in zip(axes, own, strict=True)]
        cells += [shown_number(one[metric].item()), _range(spread["low"].item(), spread["high"].item(), 3)]
        more = [shown_number(float(elsewhere[name].isel(at))) for name in others]
        table.add_row(_cell(rule), *cells, *more, *_counts(one, lacking))
    console().print(table)
    coverage = interval["coverage"].max().item()  # NaN if no rule has an interval
    if not np.isnan(coverage):
        click.echo(f"seed interval: bootstrap interval of the median, with a coverage of at most {100 * coverage:.0f}%")
    else:
        click.echo("no seed interval: it needs 3 seeds and a finite median")
    if bands := _bands(data, metric):
        table = _table("good rates", "decades", "seed spread")
        for rule, band in zip(rules, bands, strict=True):
            table.add_row(_cell(rule), *band)
        console().print("", table)
    if budgets:
        console().print("", _budget_table(data, metric, rules, budgets))


def _table(*columns: str) -> Table:
    """A table with a row for each rule."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _bands(data: "xarray.Dataset", metric: str) -> list[list[str]]:
    """For each rule: the range of good learning rates, its width in decades, and the spread over seeds.

    Empty without an axis `lr` of at least 3 values, or without series, which have the initial loss.
    """
    from gdlab.analysis.lr_range import rate_band

    if "lr" not in data.dims or "step" not in data.dims or data.sizes["lr"] < 3:
        return []
    found = rate_band(data, metric)
    columns = [np.atleast_1d(found[name].values) for name in ("low", "high", "decades", "spread")]
    return [
        [_range(low, high), *("-" if np.isnan(value) else f"{value:.2g}" for value in (decades, spread))]
        for low, high, decades, spread in zip(*columns, strict=True)
    ]


def _budget_table(data: "xarray.Dataset", metric: str, rules: list[str], budgets: Sequence[int]) -> Table:
    """The expected best of k points of the sweep: the median over all choices of k points, and its interval."""
    from gdlab.analysis.tuning_budget import expected_best

    points = np.atleast_1d(expected_best(data, metric, 1)["points"].values)
    wanted = sorted({*budgets, *points.tolist()})
    found = expected_best(data, metric, wanted)
    table = _table("points", *(f"best of {k}" for k in budgets), "best of all")
    for index, rule in enumerate(rules):
        one = found.isel(rule=index) if "rule" in found.dims else found
        cells = [_best_of(one.sel(k=k)) for k in (*budgets, points[index])]
        table.add_row(_cell(rule), str(points[index]), *cells)
    return table


def _best_of(one: "xarray.Dataset") -> str:
    middle, low, high = (float(one[name]) for name in ("median", "median_low", "median_high"))
    if np.isnan(middle):
        return "-"
    return "diverged" if np.isinf([low, high]).all() else f"{middle:.2g} ({_range(low, high)})"


def _range(low: float, high: float, digits: int = 2) -> str:
    return "-" if np.isnan(low) else f"{low:.{digits}g} to {high:.{digits}g}"


def print_costs(costs: "Iterable[RuleCost]") -> None:
    """Print a line for each rule as soon as the rule has been measured."""
    click.echo(f"{'rule':24}{'ms':>9}  {'optax':24}{'ms':>9}{'ratio':>8}")
    for cost in costs:
        theirs = f"{cost.their_name:24}{1e3 * cost.their_seconds:9.3f}{cost.ratio:8.2f}" if cost.their_name else ""
        click.echo(f"{cost.kind:24}{1e3 * cost.seconds:9.3f}  {theirs}".rstrip())


def _counts(one: "xarray.Dataset", lacking: Sequence[str]) -> list[str]:
    return [str(int(one[name])) for name in ("runs", "diverged", *lacking)]


def shown_number(value: Any) -> str:
    """A float with four significant digits; other values as `str`."""
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def _shown_value(value: Any) -> str:
    """The value of an axis as text; "default" for NaN, which marks points without the axis.

    If some points lack an integer axis, its values are floats. They are printed as integers, with all digits.
    """
    if isinstance(value, float) and np.isnan(value):
        return "default"
    is_integer = isinstance(value, float) and value.is_integer() and abs(value) < 2**31
    return str(int(value)) if is_integer else shown_number(value)


def _cell(text: str, style: str = "") -> Text:
    """A table cell that shows markup as plain text and control characters escaped."""
    return Text(printable(text), style=style)


def console() -> Console:
    """The console for tables."""
    # Without a terminal (in a pipe, for example), rich would cut tables to 80 columns.
    found = Console(soft_wrap=False)
    return found if found.is_terminal else Console(width=200)


def print_plan(
    groups: "Sequence[Group]", devices: "Sequence[jax.Device]", settings: "Settings", space: "DiskSpace"
) -> None:
    """Print a line for each group of a plan, with its estimated memory, time and disk space; then the totals."""
    from gdlab.engine.forecast import forecast, stored_bytes
    from gdlab.experiment.disk import in_units

    forecasts = forecast(groups, devices, settings)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("group", "runs", "chunk", "batching", "segments", "memory", "disk", "time"):
        table.add_column(column, justify="left" if column in ("group", "batching") else "right")
    for one, group in zip(forecasts, groups, strict=True):
        table.add_row(
            _cell(one.label), f"{one.runs:,}", str(one.layout.chunk), one.layout.batching, str(one.layout.segments),
            in_units(one.memory), in_units(stored_bytes(group)), _duration(one.seconds),
        )  # fmt: skip
    console().print(table)
    seconds = sum(one.seconds for one in forecasts)
    programs = sum(3 if one.layout.segments else 2 for one in forecasts)
    click.echo(
        f"\n{_runs(sum(one.runs for one in forecasts))} in {len(forecasts)} group{'s' * (len(forecasts) != 1)}: "
        f"{programs} programs to compile; about {_duration(seconds)} of running "
        f"on {len(devices)} x {devices[0].device_kind}"
    )
    click.echo(str(space))


def _duration(seconds: float) -> str:
    if not np.isfinite(seconds):
        return "-"
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def print_measurements(measured: "Measurements") -> None:
    """Print a table of `gdlab bench`, with its title above and its notes below."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(measured.header):
        table.add_column(column, justify="right" if place else "left")
    for row in measured.rows:
        table.add_row(*(_cell(cell) for cell in row))
    click.echo(measured.title)
    console().print(table)
    for note in measured.notes:
        click.echo(note)
    click.echo()
