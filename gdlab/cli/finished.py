"""`gdlab show`, `best` and `plot`: what came out of a run."""

from pathlib import Path

import click

from gdlab.cli.exits import mistakes
from gdlab.cli.options import FORMATS, formats_option, load


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def show(folder: Path) -> None:
    """Show what a results folder holds. FOLDER may be that of a name: then the latest."""
    with mistakes():
        from gdlab.cli.printing import summary
        from gdlab.experiment.results import find_folder

        folder = find_folder(folder)
        summary(folder)
        _say_other_config(folder)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--metric", default="final_loss", show_default=True, help="What to choose by; *accuracy: the greatest.")
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=click.IntRange(min=1),
    default=(1, 4, 16),
    show_default=True,
    metavar="K",
    help="Tell also what the best of K points of the sweep would have been; may be repeated.",
)
def best(folder: Path, metric: str, budgets: tuple[int, ...]) -> None:
    """Print the best hyperparameters of each rule: those with the best median over seeds.

    All that is told of a rule are medians over its seeds. `best of K` is the median over all ways to choose K of its
    points, and in brackets what other points of the same kind might have given (a 95% bootstrap interval).
    """
    with mistakes():
        from gdlab.cli.printing import print_best
        from gdlab.experiment.results import find_folder, open_results

        folder = find_folder(folder)
        print_best(open_results(folder), metric, budgets)
        _say_other_config(folder)


def _say_other_config(folder: Path) -> None:
    """Warn, on standard error, if the folder's config was changed: the results are those of the config before."""
    from gdlab.experiment.results import other_config, same_config

    if not same_config(folder):
        click.echo(other_config(folder), err=True)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("figure")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE]...")
@formats_option
def plot(folder: Path, figure: str, options: tuple[str, ...], formats: tuple[str, ...]) -> None:
    """Draw a figure from results: gdlab plot results/quickstart lr_sensitivity metric=eval_accuracy"""
    with mistakes():
        from gdlab.experiment.figures import draw
        from gdlab.experiment.results import CONFIG, FIGURES, find_folder, provenance_of, refuse_other_config

        folder = find_folder(folder)
        refuse_other_config(folder)
        # Checked as part of the config that it might have stood in: its code may register the figure.
        wanted = (f"figures=[{{kind: {figure}}}]", *(f"figures.0.{option}" for option in options))
        home = provenance_of(folder)["config_folder"]
        chosen = load(folder / CONFIG, wanted, home).config.figures[0]
        stem = folder / FIGURES / figure
        for path in draw(folder, figure, chosen.hyperparameters, stem, formats or FORMATS):
            click.echo(path)
