"""`gdlab show`, `best` and `plot`: the results of a run."""

from pathlib import Path

import click

from gdlab.cli.exits import mistakes
from gdlab.cli.options import FORMATS, formats_option, load, traceback_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def show(folder: Path) -> None:
    """Show the contents of a results folder. FOLDER may be results/NAME, which means the latest of that name."""
    with mistakes():
        from gdlab.cli.printing import summary
        from gdlab.experiment.results import find_folder

        folder = find_folder(folder)
        summary(folder)
        _warn_of_other_config(folder)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--metric",
    default="final_loss",
    show_default=True,
    help="The result to choose by, such as eval_accuracy. The largest value is the best if the metric was made by "
    "gdlab.maximise, or by neither maximise nor minimise and its name ends in accuracy; else the smallest.",
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=click.IntRange(min=1),
    default=(1, 4, 16),
    show_default=True,
    metavar="K",
    help="Also print the best of K points of the sweep; may be repeated.",
)
def best(folder: Path, metric: str, budgets: tuple[int, ...]) -> None:
    """Print the best hyperparameters of each rule: those with the best median over seeds.

    All numbers are medians over seeds. `best of K` is the median over all ways to choose K points of a rule, with a 95%
    bootstrap interval over the points.
    """
    with mistakes():
        from gdlab.cli.printing import print_best
        from gdlab.experiment.results import find_folder, open_results

        folder = find_folder(folder)
        print_best(open_results(folder), metric, budgets)
        _warn_of_other_config(folder)


def _warn_of_other_config(folder: Path) -> None:
    """Warn, on standard error, if the folder's config was changed after its runs began."""
    from gdlab.experiment.results import other_config, same_config

    if not same_config(folder):
        click.echo(other_config(folder), err=True)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("figure")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE]...")
@formats_option
@traceback_option
def plot(folder: Path, figure: str, options: tuple[str, ...], formats: tuple[str, ...]) -> None:
    """Draw a figure from results: gdlab plot results/quickstart lr_sensitivity metric=eval_accuracy

    notes=false: without title, caption and verdicts, for a paper. gdlab list figures FIGURE shows the options.
    """
    with mistakes():
        from gdlab.experiment.figures import draw
        from gdlab.experiment.results import CONFIG, FIGURES, find_folder, refuse_changed

        folder = find_folder(folder)
        code_dir = refuse_changed(folder)
        # Load the config with this figure: this runs the config's code, which may register the figure, and checks it.
        wanted = (f"figures=[{{kind: {figure}}}]", *(f"figures.0.{option}" for option in options))
        chosen = load(folder / CONFIG, wanted, code_dir).config.figures[0]
        stem = folder / FIGURES / figure
        for path in draw(folder, figure, chosen.hyperparameters, stem, formats or FORMATS):
            click.echo(path)
