"""The command `gdlab bench`: measure the speed of gdlab."""

import contextlib
from pathlib import Path

import click

from gdlab.cli.exits import mistakes


@click.command()
@click.argument(
    "what",
    type=click.Choice(["sweep", "rules", "scaling", "compaction", "landscape", "first-figure"]),
    default="sweep",
)
@click.option(
    "--work",
    "works",
    multiple=True,
    metavar="NAME",
    help="With sweep: mlp, tanh, rosenbrock, cnn, gru, transformer, wide; may be repeated.",
)
@click.option("--repeats", type=click.IntRange(min=1), help="Number of measurements. Default: 5; with rules: 30.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write every measured time to this file.",
)
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With scaling: write a figure to this file (png, pdf, svg).",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With first-figure: the config to run. Default: configs/quickstart.yaml.",
)
def bench(
    what: str,
    works: tuple[str, ...],
    repeats: int | None,
    markdown: bool,
    json_file: Path | None,
    figure: Path | None,
    config: Path | None,
) -> None:
    """Measure the speed of gdlab on this machine; methods that are compared run in the same process.

    \b
    sweep        the engine against loops written by hand in JAX and, if installed, PyTorch (the default)
    rules        one update of each rule, and of the same rule in optax, on a million parameters
    scaling      time per run and memory of the engine against the number of runs
    compaction   time saved by dropping diverged runs
    landscape    a surface of 51 x 51 points against loops over the points, and the cost of a probe
    first-figure from the start of gdlab run to its last figure, with an empty and a filled cache of compiled programs
    """
    with mistakes():
        from datetime import date

        from gdlab.bench.machine import machine
        from gdlab.bench.measuring import REPEATS, check, collected, measure
        from gdlab.bench.table import Measured, as_json, as_markdown, occasion
        from gdlab.engine.devices import DevicesError, use_all_cores

        check(what, works, markdown, json_file, figure, config)
        count = repeats or REPEATS[what]
        if what == "rules":
            from gdlab.bench.update_cost import RuleCost, update_costs
            from gdlab.cli.printing import print_costs

            costs: list[RuleCost] = []
            print_costs(collected(update_costs(count), costs))
            records = [cost._asdict() for cost in costs]
        else:
            from gdlab.cli.printing import print_measurements

            with contextlib.suppress(DevicesError):  # JAX has started; the table says how many devices there are
                use_all_cores()  # without the cache on disk, so first calls include compilation
            click.echo(f"{occasion(what, machine(), date.today())}\n")
            parts: list[Measured] = []
            report = lambda text: click.echo(text, err=True)
            for part in collected(measure(what, works, count, figure, config, report), parts):
                if markdown:
                    click.echo(as_markdown(part.table))
                else:
                    print_measurements(part.table)
            records = [part.record for part in parts]
        if json_file is not None:
            json_file.write_text(as_json(what, machine(), date.today(), records), encoding="utf-8")
