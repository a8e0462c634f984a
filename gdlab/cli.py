"""The command line. What a command needs is imported when it runs, so that `gdlab --help` is quick."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gdlab.errors import UserError

if TYPE_CHECKING:
    from gdlab.config import Config

FAILED, WRONG, INTERRUPTED = 1, 2, 130
FORMATS = ("png", "pdf")
SHELVES = ("rules", "problems", "probes", "figures", "schedules")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gdlab", message="%(prog)s %(version)s")
def main() -> None:
    """A laboratory for gradient descent: run a config, look at what came out.

    \b
    gdlab run configs/quickstart.yaml        sweep, store, draw
    gdlab show results/quickstart            what came out
    """


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path), default="results", show_default=True, help="Where results go.")
@click.option("--format", "formats", multiple=True, type=click.Choice(["png", "pdf", "svg"]), help="Of the figures.")
@click.option("--quiet", is_flag=True, help="Print the results folder and nothing else.")
def run(config: Path, overrides: tuple[str, ...], out: Path, formats: tuple[str, ...], quiet: bool) -> None:
    """Run an experiment. Its results go to a new folder, OUT/NAME/DATE-TIME-HASH.

    KEY=VALUE overrides a value of the config: train.steps=2000 rules.adam.b1=0.95
    """
    with mistakes():
        from gdlab import experiment
        from gdlab.terminal import Bar, summary

        loaded = _load(config, overrides)
        prepared = experiment.prepare(loaded)
        with Bar(quiet) as bar:
            finished = experiment.run(
                prepared,
                out,
                config_folder=config.resolve().parent,
                command=["gdlab", *sys.argv[1:]],
                progress=bar,
                formats=formats or FORMATS,
            )
        if quiet:
            click.echo(finished.folder)
        else:
            summary(finished.folder)
    for note in finished.notes:
        click.echo(note, err=True)
    for trouble in finished.troubles:
        click.echo(f"could not draw {trouble}", err=True)
    if finished.troubles:
        _stop(FAILED, f"the results are whole, in {finished.folder}")


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def validate(config: Path, overrides: tuple[str, ...]) -> None:
    """Check a config, without running it."""
    with mistakes():
        import gdlab.figures  # noqa: F401  (fills the register)

        loaded = _load(config, overrides)
        from gdlab.terminal import described

        click.echo(f"{config} is fine: {described(loaded)}")


@main.command()
def schema() -> None:
    """Print the JSON schema of a config, for editors."""
    import json

    import gdlab.figures  # noqa: F401  (fills the register)
    from gdlab.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@main.command("list")
@click.argument("what", type=click.Choice([*SHELVES, "configs"]))
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="The rules as a page, which is docs/rules.md.")
def list_(what: str, name: str | None, markdown: bool) -> None:
    """List what a config can name; with NAME, what is known of one."""
    with mistakes():
        from gdlab.listing import list_configs, list_shelf, markdown_of_rules, tell_entry

        if what == "configs":
            list_configs(Path("configs"))
            return
        import gdlab.figures
        import gdlab.probes
        import gdlab.problems
        import gdlab.rules
        import gdlab.schedules  # noqa: F401  (each fills a shelf of the register)
        from gdlab import register

        shelf = getattr(register, what)
        if markdown:
            if what != "rules":
                raise UserError("only the rules have a page: gdlab list rules --markdown")
            click.echo(markdown_of_rules(shelf), nl=False)
        elif name is None:
            list_shelf(what, shelf)
        else:
            tell_entry(what, shelf, name)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def show(folder: Path) -> None:
    """Show what a results folder holds. FOLDER may be that of a name: then the latest."""
    with mistakes():
        from gdlab.results import find_folder
        from gdlab.terminal import summary

        summary(find_folder(folder))


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--metric", default="final_loss", show_default=True, help="What to choose by; *accuracy: the greatest.")
def best(folder: Path, metric: str) -> None:
    """Print the best hyperparameters of each rule: those with the best median over seeds."""
    with mistakes():
        from gdlab.results import open_results
        from gdlab.terminal import print_best

        print_best(open_results(folder), metric)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("figure")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE]...")
@click.option("--format", "formats", multiple=True, type=click.Choice(["png", "pdf", "svg"]), help="Default: png, pdf.")
def plot(folder: Path, figure: str, options: tuple[str, ...], formats: tuple[str, ...]) -> None:
    """Draw a figure from results: gdlab plot results/quickstart lr_sensitivity metric=eval_accuracy"""
    with mistakes():
        from gdlab.drawing import draw
        from gdlab.results import CONFIG, FIGURES, PROVENANCE, find_folder, read_json

        folder = find_folder(folder)
        # Checked as part of the config that it might have stood in: its code may register the figure.
        wanted = (f"figures=[{{kind: {figure}}}]", *(f"figures.0.{option}" for option in options))
        home = read_json(folder / PROVENANCE)["config_folder"]
        chosen = _load(folder / CONFIG, wanted, home).figures[0]
        stem = folder / FIGURES / figure
        for path in draw(folder, figure, chosen.hyperparameters, stem, formats or FORMATS):
            click.echo(path)


@main.command()
@click.argument("what", type=click.Choice(["rules"]))
@click.option("--repeats", type=click.IntRange(min=1), default=30, show_default=True, help="Measurements of each.")
def bench(what: str, repeats: int) -> None:
    """Measure what things cost here: one update of each rule, beside optax's, on a million parameters."""
    from gdlab.bench.update_cost import update_costs
    from gdlab.terminal import print_costs

    print_costs(update_costs(repeats))


@main.command()
def doctor() -> None:
    """Tell what this machine is to gdlab: versions, devices, precision, and whether all parts work."""
    from gdlab.doctor import examine

    sys.exit(0 if examine() else FAILED)


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn what a user can get wrong into a message and an exit code; what the lab gets wrong keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        _stop(INTERRUPTED, "interrupted")
    except UserError as error:
        _stop(WRONG, str(error))
    except BrokenPipeError:
        raise  # whoever read the output has had enough; click ends quietly
    except OSError as error:
        _stop(FAILED, f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _stop(code: int, message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


def _load(path: Path, overrides: tuple[str, ...], code_dir: str | None = None) -> "Config":
    import gdlab.figures  # noqa: F401  (fills the register)
    from gdlab.config import load

    return load(path, overrides, code_dir=code_dir)
