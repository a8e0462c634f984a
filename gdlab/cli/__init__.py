"""The command line. Each command imports its dependencies when it runs, so that `gdlab --help` is fast."""

import click

from gdlab.cli.bench import bench
from gdlab.cli.configs import list_, schema, validate
from gdlab.cli.doctor import doctor
from gdlab.cli.finished import best, plot, show
from gdlab.cli.landscape import landscape
from gdlab.cli.reproduce import reproduce
from gdlab.cli.running import resume, run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gdlab", message="%(prog)s %(version)s")
def main() -> None:
    """A toolkit for studying gradient descent: run a config, then look at the results.

    \b
    gdlab run configs/quickstart.yaml        sweep, store, draw
    gdlab show results/quickstart            print the results
    """


for command in (run, resume, validate, schema, list_, show, best, plot, landscape, reproduce, bench, doctor):
    main.add_command(command)
