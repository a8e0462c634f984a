"""`gdlab doctor`."""

import sys

import click

from gdlab.cli.exits import FAILED


@click.command()
def doctor() -> None:
    """Tell what this machine is to gdlab: versions, devices, precision, and whether all parts work."""
    from gdlab.cli.doctor_checks import examine

    sys.exit(0 if examine() else FAILED)
