"""The command `gdlab landscape`: compute and draw the loss around finished runs."""

import re
from pathlib import Path

import click

from gdlab.cli.exits import mistakes
from gdlab.cli.interrupt import Interrupt
from gdlab.cli.options import FORMATS, devices_option, formats_option, load, traceback_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("figures", nargs=-1, metavar="[FIGURE]...")
@click.option(
    "--run",
    "chosen",
    metavar="WHICH",
    help="best (of each rule), all (of the first seed), a row of runs.csv counted from 0, or axes: rule=adam,lr=0.01.",
)
@click.option("--plane", help="auto, exact, pca, random, hessian or gradient.")
@click.option("--points", metavar="N[,M]", help="Number of points along each direction.")
@click.option("--normalise", help="Scale of random directions: filter, layer, tensor or none.")
@click.option("--seed", help="Seed of random directions.")
@click.option("--lines", help="Number of random lines through the end of each run, for line_profile.")
@click.option("--margin", help="Margin around the paths, relative to their extent.")
@click.option("--vtk", is_flag=True, help="Also write the surface and its paths for ParaView.")
@click.option("--page", is_flag=True, help="Also write an HTML page with a surface that can be rotated.")
@click.option("--movie", type=click.Choice(["gif", "mp4"]), help="Also write a movie of the paths.")
@formats_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
@devices_option
@traceback_option
def landscape(
    folder: Path,
    figures: tuple[str, ...],
    chosen: str | None,
    vtk: bool,
    page: bool,
    movie: str | None,
    formats: tuple[str, ...],
    quiet: bool,
    devices: int | None,
    **options: str | None,
) -> None:
    """Compute the loss around runs of finished results, and draw it: gdlab landscape results/quickstart --run all

    FIGURE: landscape, surface_3d, landscape_grid, line_profile, spectrum, curvature_map, or a figure that your code
    registers. Default: the landscape figures of the config; landscape if it has none. Options override the config's
    section landscape. With options, the results have other names, for example landscape-run-all, and the landscapes
    of the config are kept.
    """
    with mistakes(), Interrupt() as interrupt:
        from gdlab.engine.devices import start

        found = start(devices)
        from gdlab.cli.printing import Bar
        from gdlab.experiment import run as experiment
        from gdlab.experiment.figures import landscape_figures
        from gdlab.experiment.results import CONFIG, find_folder, refuse_changed

        folder = find_folder(folder)
        code_dir = refuse_changed(folder)
        given = {name: value for name, value in options.items() if value is not None}
        variant = _variant(({"run": chosen} if chosen is not None else {}) | given)
        if "," in given.get("points", ""):
            given["points"] = f"[{given['points']}]"
        # Merging an empty mapping adds the section if the config lacks it.
        words = ["landscape={}", *(f"landscape.{name}={value}" for name, value in given.items())]
        if figures:
            words.append(f"figures=[{', '.join(figures)}]")
        resolved = load(folder / CONFIG, tuple(words), code_dir)
        if not figures:
            resolved = resolved.with_figures(landscape_figures(resolved.config) or ["landscape"])
        interrupt.check()
        runs, notices = experiment.chosen_runs(folder, chosen)
        for notice in notices:
            click.echo(notice, err=True)
        with Bar(quiet) as bar:
            written = experiment.landscape(
                folder,
                resolved,
                runs=runs,
                variant=variant,
                running=experiment.Running(found, progress=bar, stop=interrupt),
                formats=formats or FORMATS,
                exports=[*(["vtk"] if vtk else []), *(["html"] if page else []), *([movie] if movie else [])],
            )
        for path in written:
            click.echo(path)


def _variant(options: dict[str, str]) -> str:
    """The suffix of the names of results with these options: "-run-all-points-9"; empty without options."""
    return re.sub(r"[^A-Za-z0-9.,=_-]+", "_", "".join(f"-{name}-{value}" for name, value in options.items()))
