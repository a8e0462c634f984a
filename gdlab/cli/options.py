"""Options that several commands have, and how a config is loaded for them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gdlab.config import Resolved

FORMATS = ("png", "pdf")

devices_option = click.option(
    "--devices", type=click.IntRange(min=1), help="How many devices to use; on a CPU each core is one. Default: all."
)
on_option = click.option(
    "--on",
    metavar="WORKERS",
    help="Who runs it: dask://HOST:PORT (a scheduler), dask (workers here), processes:N. Default: this process.",
)
formats_option = click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["png", "pdf", "svg"]),
    help="Of figures. Default: png, pdf.",
)
quiet_option = click.option("--quiet", is_flag=True, help="Print the results folder and nothing else.")


def load(path: Path, overrides: tuple[str, ...], code_dir: str | None = None) -> "Resolved":
    """The config in a file, with overrides, resolved."""
    import gdlab.figures  # noqa: F401  (fills the register)
    from gdlab.config import load

    return load(path, overrides, code_dir=code_dir)
