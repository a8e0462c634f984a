"""The command line. What a command needs is imported when it runs, so that `gdlab --help` is quick."""

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
    """A laboratory for gradient descent: run a config, look at what came out.

    \b
    gdlab run configs/quickstart.yaml        sweep, store, draw
    gdlab show results/quickstart            what came out
    """


for command in (run, resume, validate, schema, list_, show, best, plot, landscape, reproduce, bench, doctor):
    main.add_command(command)
