"""Options that several commands share, and a function that loads a config."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gdlab.cli.exits import TRACEBACK

if TYPE_CHECKING:
    from gdlab.config import Resolved

FORMATS = ("png", "pdf")

devices_option = click.option(
    "--devices", type=click.IntRange(min=1), help="Number of devices; on a CPU each core is a device. Default: all."
)
on_option = click.option(
    "--on",
    metavar="WORKERS",
    help="Where runs are evaluated: dask://HOST:PORT (a scheduler), dask (local workers), processes:N. "
    "Default: this process.",
)
formats_option = click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["png", "pdf", "svg"]),
    help="Format of the figures; may be repeated. Default: png, pdf.",
)
quiet_option = click.option("--quiet", is_flag=True, help="Print the results folder and nothing else.")


def _keep_traceback(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[TRACEBACK] = value


traceback_option = click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,
    callback=_keep_traceback,
    help="Print the traceback of an error, for example in your own code.",
)


def load(path: Path, overrides: tuple[str, ...], code_dir: Path | None = None) -> "Resolved":
    """Load a config file with overrides, and resolve the names in it."""
    import gdlab.figures  # noqa: F401  (fills the register)
    from gdlab.config import load

    return load(path, overrides, code_dir=code_dir)
