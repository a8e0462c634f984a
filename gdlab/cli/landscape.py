"""`gdlab landscape`."""

from pathlib import Path

import click

from gdlab.cli.exits import mistakes
from gdlab.cli.options import FORMATS, devices_option, formats_option, load


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
@click.option("--points", metavar="N[,M]", help="Points along each direction.")
@click.option("--normalise", help="Scale of random directions: filter, layer, tensor or none.")
@click.option("--seed", help="Of random directions.")
@click.option("--lines", help="Random lines through each run's end, for line_profile.")
@click.option("--margin", help="Room around the paths, as a share of their extent.")
@click.option("--vtk", is_flag=True, help="Write the surface and its paths for ParaView too.")
@click.option("--page", is_flag=True, help="Write a page on which the surface can be turned, too.")
@click.option("--movie", type=click.Choice(["gif", "mp4"]), help="Write a movie of the paths, too.")
@formats_option
@click.option("--quiet", is_flag=True, help="No bar.")
@devices_option
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
    **asked: str | None,
) -> None:
    """Compute the loss around runs of finished results, and draw it: gdlab landscape results/quickstart --run all

    FIGURE: landscape, surface_3d, landscape_grid, line_profile, spectrum, curvature_map, or one of your own; by default
    those of the config, or landscape. What the config says of landscapes holds where no option does.
    """
    with mistakes():
        from gdlab.engine.devices import start

        found = start(devices)
        from gdlab.cli.interrupt import Interrupt
        from gdlab.cli.printing import Bar
        from gdlab.experiment import run as experiment
        from gdlab.experiment.results import CONFIG, find_folder, provenance_of, refuse_other_config

        folder = find_folder(folder)
        refuse_other_config(folder)
        home = provenance_of(folder)["config_folder"]
        words = ["landscape={}"]  # merged into what the config says of landscapes
        asked["points"] = f"[{asked['points']}]" if "," in (asked["points"] or "") else asked["points"]
        words += [f"landscape.{name}={value}" for name, value in asked.items() if value is not None]
        if figures:
            words.append(f"figures=[{', '.join(figures)}]")
        resolved = load(folder / CONFIG, tuple(words), home)
        if not figures:
            resolved = resolved.with_figures(experiment.landscape_figures(resolved.config) or ["landscape"])
        with Interrupt() as interrupt, Bar(quiet) as bar:
            written = experiment.landscape(
                folder,
                resolved,
                runs=experiment.chosen_runs(folder, chosen),
                running=experiment.Running(found, progress=bar, stop=interrupt),
                formats=formats or FORMATS,
                exports=[*(["vtk"] if vtk else []), *(["html"] if page else []), *([movie] if movie else [])],
            )
        for path in written:
            click.echo(path)
