"""The commands `gdlab run` and `gdlab resume`: run an experiment, or continue one."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gdlab.cli.exits import FAILED, NOT_HELD, mistakes, print_traceback, printable, stop
from gdlab.cli.interrupt import Interrupt
from gdlab.cli.options import FORMATS, devices_option, formats_option, load, on_option, quiet_option, traceback_option
from gdlab.errors import UserError

if TYPE_CHECKING:
    from gdlab.engine.executor_adapter import ExecutorAdapter
    from gdlab.experiment.run import Finished


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--out", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder for the results."
)
@formats_option
@quiet_option
@click.option("--fresh", is_flag=True, help="Run everything; reuse no runs of an earlier folder.")
@click.option(
    "--dry-run", is_flag=True, help="Print the plan with its estimated time, memory and disk space; run nothing."
)
@devices_option
@on_option
@traceback_option
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

    Runs are reused from an earlier folder of the same experiment; --fresh runs them again. Ctrl-C stops after the
    current segment; gdlab resume continues.
    """
    with mistakes(), Interrupt() as interrupt:
        from gdlab.engine.devices import start

        workers = _workers(on, devices)
        found = start(devices)
        from gdlab.cli.printing import Bar, print_plan
        from gdlab.engine.execute import Settings
        from gdlab.experiment import run as experiment
        from gdlab.experiment.disk import disk_space, refuse_small_disk

        prepared = experiment.prepare(load(config, overrides))
        interrupt.check()
        if dry_run:
            compute = prepared.resolved.config.compute
            space = disk_space(prepared.groups, out)
            print_plan(prepared.groups, found, Settings(**compute.model_dump()), space)
            refuse_small_disk(space)
            return
        with workers as executor, Bar(quiet) as bar:
            finished = experiment.run(
                prepared,
                out,
                config_folder=config.resolve().parent,
                command=["gdlab", *sys.argv[1:]],
                running=experiment.Running(found, bar, interrupt, executor),
                formats=formats or FORMATS,
                fresh=fresh,
            )
        _report(finished, quiet)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@formats_option
@quiet_option
@devices_option
@on_option
@traceback_option
def resume(folder: Path, formats: tuple[str, ...], quiet: bool, devices: int | None, on: str | None) -> None:
    """Continue a run that was stopped. Its results are checked first; damaged ones are run again."""
    with mistakes(), Interrupt() as interrupt:
        from gdlab.engine.devices import start

        workers = _workers(on, devices)
        found = start(devices)
        from gdlab.cli.printing import Bar
        from gdlab.experiment import run as experiment
        from gdlab.experiment.results import find_folder

        interrupt.check()
        with workers as executor, Bar(quiet) as bar:
            finished = experiment.resume(
                find_folder(folder),
                running=experiment.Running(found, bar, interrupt, executor),
                formats=formats or FORMATS,
            )
        _report(finished, quiet)


def _workers(on: str | None, devices: int | None) -> "AbstractContextManager[ExecutorAdapter | None]":
    """A context whose value is the executor that `--on` names, or None without `--on`."""
    if on is None:
        return nullcontext()
    if devices is not None:
        raise UserError(
            "--devices applies to this process, and --on evaluates the runs on workers, which use all their devices"
        )
    from gdlab.cli.executors import read

    return read(on)()


def _report(finished: "Finished", quiet: bool) -> None:
    """Print the outcome of a run; exit with 1 if a part of it failed, with 4 if a claim did not hold."""
    from gdlab.cli.printing import summary

    if quiet:
        click.echo(finished.folder)
    else:
        summary(finished.folder)
    for note in finished.notes:
        click.echo(note, err=True)
    for failure in finished.failures:
        click.echo(printable(failure.message), err=True)
        print_traceback(failure.error)
    if finished.failures:
        stop(FAILED, f"the sweep is finished; its results are in {finished.folder}")
    failed = sum(claim["status"] == "failed" for claim in finished.claims)
    if failed:
        stop(NOT_HELD, f"{failed} of {len(finished.claims)} claims did not hold")
