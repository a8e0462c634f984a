"""`gdlab run` and `gdlab resume`."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gdlab.cli.exits import FAILED, NOT_HELD, mistakes, stop
from gdlab.cli.options import FORMATS, devices_option, formats_option, load, on_option, quiet_option
from gdlab.errors import UserError

if TYPE_CHECKING:
    from gdlab.engine.executor_adapter import ExecutorAdapter
    from gdlab.experiment.run import Finished


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path), default="results", show_default=True, help="Where results go.")
@formats_option
@quiet_option
@click.option("--fresh", is_flag=True, help="Run all of it, also what an earlier folder has.")
@click.option("--dry-run", is_flag=True, help="Say what would be run, and run nothing.")
@devices_option
@on_option
def run(
    config: Path,
    overrides: tuple[str, ...],
    out: Path,
    formats: tuple[str, ...],
    quiet: bool,
    fresh: bool,
    dry_run: bool,
    devices: int | None,
    on: str | None,
) -> None:
    """Run an experiment. Its results go to a new folder, OUT/NAME/DATE-TIME-HASH.

    KEY=VALUE overrides a value of the config: train.steps=2000 rules.adam.b1=0.95

    Runs that an earlier folder of the same experiment has are taken from there; --fresh runs them again. Ctrl-C stops
    after the segment under way, and gdlab resume goes on from there.
    """
    with mistakes():
        from gdlab.engine.devices import start

        workers = _workers(on, devices)
        found = start(devices)
        from gdlab.cli.interrupt import Interrupt
        from gdlab.cli.printing import Bar, print_plan
        from gdlab.engine.execute import Settings
        from gdlab.experiment import run as experiment

        prepared = experiment.prepare(load(config, overrides))
        if dry_run:
            compute = prepared.resolved.config.compute
            print_plan(prepared.groups, found, Settings(compute.chunk, compute.tile))
            return
        with workers as crew, Interrupt() as interrupt, Bar(quiet) as bar:
            finished = experiment.run(
                prepared,
                out,
                config_folder=config.resolve().parent,
                command=["gdlab", *sys.argv[1:]],
                running=experiment.Running(found, bar, interrupt, crew),
                formats=formats or FORMATS,
                fresh=fresh,
            )
        _told(finished, quiet)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@formats_option
@quiet_option
@devices_option
@on_option
def resume(folder: Path, formats: tuple[str, ...], quiet: bool, devices: int | None, on: str | None) -> None:
    """Go on with a run that was stopped, from where it was. What is there is checked, and run again if damaged."""
    with mistakes():
        from gdlab.engine.devices import start

        workers = _workers(on, devices)
        found = start(devices)
        from gdlab.cli.interrupt import Interrupt
        from gdlab.cli.printing import Bar
        from gdlab.experiment import run as experiment
        from gdlab.experiment.results import find_folder

        with workers as crew, Interrupt() as interrupt, Bar(quiet) as bar:
            finished = experiment.resume(
                find_folder(folder),
                running=experiment.Running(found, bar, interrupt, crew),
                formats=formats or FORMATS,
            )
        _told(finished, quiet)


def _workers(on: str | None, devices: int | None) -> "AbstractContextManager[ExecutorAdapter | None]":
    """What opens the workers that `--on` names; None where it is not given."""
    if on is None:
        return nullcontext()
    if devices is not None:
        raise UserError("--devices is of this process, and --on has others run: they use all devices that they have")
    from gdlab.cli.executors import read

    return read(on)()


def _told(finished: "Finished", quiet: bool) -> None:
    """Print what came out of a run; exit with 1 if something could not be checked or drawn, 4 if a claim failed."""
    from gdlab.cli.printing import summary

    if quiet:
        click.echo(finished.folder)
    else:
        summary(finished.folder)
    for note in finished.notes:
        click.echo(note, err=True)
    for trouble in finished.troubles:
        click.echo(trouble, err=True)
    if finished.troubles:
        stop(FAILED, f"the results are whole, in {finished.folder}")
    failed = sum(claim["status"] == "failed" for claim in finished.claims)
    if failed:
        stop(NOT_HELD, f"{failed} of {len(finished.claims)} claims did not hold")
