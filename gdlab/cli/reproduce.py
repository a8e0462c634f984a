"""The command `gdlab reproduce`: run experiments and check their claims."""

import sys
from pathlib import Path

import click

from gdlab.cli.exits import FAILED, NOT_HELD, mistakes, print_traceback, printable, stop
from gdlab.cli.interrupt import Interrupt
from gdlab.cli.options import FORMATS, devices_option, formats_option, traceback_option
from gdlab.errors import UserError


@click.command()
@click.argument("experiment")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--size", metavar="NAME", help="small (the default), full (as in the paper), or another size of the config."
)
@click.option("--fast", is_flag=True, help="With all: every experiment at its fast size, in minutes.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder for the results."
)
@click.option(
    "--gallery",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write figures and verdicts to this folder.",
)
@click.option("--fresh", is_flag=True, help="Run everything; reuse no runs of an earlier folder.")
@formats_option
@devices_option
@traceback_option
def reproduce(
    experiment: str,
    overrides: tuple[str, ...],
    size: str | None,
    fast: bool,
    out: Path,
    gallery: Path | None,
    fresh: bool,
    formats: tuple[str, ...],
    devices: int | None,
) -> None:
    """Run an experiment, or all, and check the paper's claims: gdlab reproduce baird

    EXPERIMENT: a name from `gdlab list experiments`, or all. Exit code 4: a claim did not hold.
    """
    with mistakes(), Interrupt() as interrupt:
        from gdlab.engine.devices import start

        if fast and size is not None:
            raise UserError("--fast and --size both set the size: give one of them")
        found = start(devices)
        from gdlab.cli.printing import Bar, print_claims, print_reproduced
        from gdlab.experiment import reproduce as reproducing
        from gdlab.experiment.run import Running

        wanted, done = reproducing.chosen(experiment), []
        if len(wanted) > 1 and overrides:
            raise UserError("KEY=VALUE applies to one experiment, and EXPERIMENT is all")
        interrupt.check()
        with Bar(quiet=not sys.stderr.isatty()) as bar:
            for one in reproducing.reproduce(
                wanted,
                size=reproducing.FAST if fast else size or reproducing.SMALL,
                overrides=overrides,
                out=out,
                command=["gdlab", *sys.argv[1:]],
                running=Running(found, bar, interrupt),
                formats=formats or FORMATS,
                fresh=fresh or gallery is not None,  # the gallery shows run times; reused runs take no time
                gallery_folder=gallery,
            ):
                done.append(one)
                click.echo(f"\n{one.slug}: {one.seconds:.0f} s" + (f", {one.folder}" if one.folder else ""))
                print_claims(one.claims)
                for failure in one.failures:
                    click.echo(printable(failure.message), err=True)
                    print_traceback(failure.error)
        if len(done) > 1:
            print_reproduced(done)
        claims = [claim for one in done for claim in one.claims]
        if any(one.failures for one in done):
            stop(FAILED, "some experiments, checks or figures failed: see above")
        failed = sum(claim["status"] == "failed" for claim in claims)
        if failed:
            stop(NOT_HELD, f"{failed} of {len(claims)} claims did not hold")
