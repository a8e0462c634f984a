"""`gdlab reproduce`."""

import sys
from pathlib import Path

import click

from gdlab.cli.exits import FAILED, NOT_HELD, mistakes, stop
from gdlab.cli.options import FORMATS, devices_option, formats_option
from gdlab.errors import UserError


@click.command()
@click.argument("experiment")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--size", metavar="NAME", help="small (the default), full (as in the paper), or another of its sizes.")
@click.option("--fast", is_flag=True, help="Of all: exact oracles and short runs, in minutes.")
@click.option("--out", type=click.Path(path_type=Path), default="results", show_default=True, help="Where results go.")
@click.option("--gallery", type=click.Path(path_type=Path, file_okay=False), help="Put figures and verdicts there too.")
@click.option("--fresh", is_flag=True, help="Run all of it, also what an earlier folder has.")
@formats_option
@devices_option
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
    """Run an experiment, or all, and say whether the paper's claims hold here: gdlab reproduce baird

    EXPERIMENT: one of `gdlab list experiments`, or all. Exit code 4: a claim did not hold.
    """
    with mistakes():
        from gdlab.engine.devices import start

        if fast and size is not None:
            raise UserError("--fast is a size of its own: give it or --size")
        found = start(devices)
        from gdlab.cli.interrupt import Interrupt
        from gdlab.cli.printing import Bar, print_claims, print_reproduced
        from gdlab.experiment import reproduce as reproducing
        from gdlab.experiment.run import Running

        wanted, done = reproducing.chosen(experiment), []
        if len(wanted) > 1 and overrides:
            raise UserError("KEY=VALUE is of one experiment, and all have different keys")
        with Interrupt() as interrupt, Bar(quiet=not sys.stderr.isatty()) as bar:
            for one in reproducing.reproduce(
                wanted,
                size=reproducing.FAST if fast else size or reproducing.SMALL,
                overrides=overrides,
                out=out,
                command=["gdlab", *sys.argv[1:]],
                running=Running(found, bar, interrupt),
                formats=formats or FORMATS,
                fresh=fresh or gallery is not None,  # or its time would be that of taking runs over
                gallery_folder=gallery,
            ):
                done.append(one)
                click.echo(f"\n{one.slug}: {one.seconds:.0f} s" + (f", {one.folder}" if one.folder else ""))
                print_claims(one.claims)
                for trouble in one.troubles:
                    click.echo(trouble, err=True)
        if len(done) > 1:
            print_reproduced(done)
        claims = [claim for one in done for claim in one.claims]
        if any(one.troubles for one in done):
            stop(FAILED, "not all could be run, checked and drawn: see above")
        failed = sum(claim["status"] == "failed" for claim in claims)
        if failed:
            stop(NOT_HELD, f"{failed} of {len(claims)} claims did not hold")
