"""The command line. What a command needs is imported when it runs, so that `gdlab --help` is quick."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gdlab.errors import Halted, PartlyFailed, UserError

if TYPE_CHECKING:
    from gdlab.config import Config
    from gdlab.engine.crew import Crew
    from gdlab.experiment import Finished

FAILED, WRONG, PARTLY, INTERRUPTED = 1, 2, 3, 130
FORMATS = ("png", "pdf")
SHELVES = ("rules", "problems", "probes", "figures", "schedules")


devices_option = click.option(
    "--devices", type=click.IntRange(min=1), help="How many devices to use; on a CPU each core is one. Default: all."
)
on_option = click.option(
    "--on",
    metavar="WORKERS",
    help="Who runs it: dask://HOST:PORT (a scheduler), dask (workers here), processes:N. Default: this process.",
)


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
@click.option("--fresh", is_flag=True, help="Run all of it, also what an earlier folder has.")
@click.option("--dry-run", is_flag=True, help="Say what would be run, and run nothing.")
@devices_option
@on_option
def run(
    config: Path,
    overrides: tuple[str, ...],
    out: Path,
    formats: tuple[str, ...],
    quiet: bool,
    fresh: bool,
    dry_run: bool,
    devices: int | None,
    on: str | None,
) -> None:
    """Run an experiment. Its results go to a new folder, OUT/NAME/DATE-TIME-HASH.

    KEY=VALUE overrides a value of the config: train.steps=2000 rules.adam.b1=0.95

    Runs that an earlier folder of the same experiment has are taken from there; --fresh runs them again. Ctrl-C stops
    after the segment under way, and gdlab resume goes on from there.
    """
    with mistakes():
        from gdlab.startup import chunks_file, start

        workers = _workers(on, devices)
        found = start(devices)
        from gdlab import experiment
        from gdlab.engine.execute import Settings
        from gdlab.interrupt import Interrupt
        from gdlab.terminal import Bar, print_plan

        prepared = experiment.prepare(_load(config, overrides))
        if dry_run:
            compute = prepared.config.compute
            print_plan(prepared.groups, found, Settings(compute.chunk, compute.tile, chunks_file()))
            return
        with workers as crew, Interrupt() as interrupt, Bar(quiet) as bar:
            finished = experiment.run(
                prepared,
                out,
                config_folder=config.resolve().parent,
                command=["gdlab", *sys.argv[1:]],
                running=experiment.Running(found, chunks_file(), bar, interrupt, crew),
                formats=formats or FORMATS,
                fresh=fresh,
            )
        _told(finished, quiet)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "formats", multiple=True, type=click.Choice(["png", "pdf", "svg"]), help="Of the figures.")
@click.option("--quiet", is_flag=True, help="Print the results folder and nothing else.")
@devices_option
@on_option
def resume(folder: Path, formats: tuple[str, ...], quiet: bool, devices: int | None, on: str | None) -> None:
    """Go on with a run that was stopped, from where it was. What is there is checked, and run again if damaged."""
    with mistakes():
        from gdlab.startup import chunks_file, start

        workers = _workers(on, devices)
        found = start(devices)
        from gdlab import experiment
        from gdlab.interrupt import Interrupt
        from gdlab.results import find_folder
        from gdlab.terminal import Bar

        with workers as crew, Interrupt() as interrupt, Bar(quiet) as bar:
            finished = experiment.resume(
                find_folder(folder),
                running=experiment.Running(found, chunks_file(), bar, interrupt, crew),
                formats=formats or FORMATS,
            )
        _told(finished, quiet)


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
        from gdlab.results import open_results
        from gdlab.terminal import print_best

        print_best(open_results(folder), metric, budgets)


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
@click.option("--lines", help="Random lines through each run's end, for line_profile.")
@click.option("--margin", help="Room around the paths, as a share of their extent.")
@click.option("--vtk", is_flag=True, help="Write the surface and its paths for ParaView too.")
@click.option("--page", is_flag=True, help="Write a page on which the surface can be turned, too.")
@click.option("--movie", type=click.Choice(["gif", "mp4"]), help="Write a movie of the paths, too.")
@click.option("--format", "formats", multiple=True, type=click.Choice(["png", "pdf", "svg"]), help="Default: png, pdf.")
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
        from gdlab.startup import start

        found = start(devices)
        from gdlab import experiment
        from gdlab.interrupt import Interrupt
        from gdlab.results import CONFIG, PROVENANCE, find_folder, read_json
        from gdlab.terminal import Bar

        folder = find_folder(folder)
        home = read_json(folder / PROVENANCE)["config_folder"]
        before = _load(folder / CONFIG, (), home)
        words = [] if before.landscape is not None else ["landscape={}"]
        asked["points"] = f"[{asked['points']}]" if "," in (asked["points"] or "") else asked["points"]
        words += [f"landscape.{name}={value}" for name, value in asked.items() if value is not None]
        drawn = figures or experiment.landscape_figures(before) or ["landscape"]
        words.append(f"figures=[{', '.join(drawn)}]")
        config = _load(folder / CONFIG, tuple(words), home)
        with Interrupt() as interrupt, Bar(quiet) as bar:
            written = experiment.landscape(
                folder,
                config,
                runs=experiment.chosen_runs(folder, chosen),
                running=experiment.Running(found, progress=bar, stop=interrupt),
                formats=formats or FORMATS,
                exports=[*(["vtk"] if vtk else []), *(["html"] if page else []), *([movie] if movie else [])],
            )
        for path in written:
            click.echo(path)


@main.command()
@click.argument("what", type=click.Choice(["sweep", "rules", "scaling", "compaction", "landscape"]), default="sweep")
@click.option(
    "--work", "works", multiple=True, metavar="NAME", help="Of sweep: mlp, tanh, rosenbrock, cnn, gru; may be repeated."
)
@click.option("--repeats", type=click.IntRange(min=1), help="Measurements of each. Default: 5; of rules: 30.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown, for a page.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write every time taken.")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Of scaling: draw it (png, pdf, svg).")
def bench(
    what: str, works: tuple[str, ...], repeats: int | None, markdown: bool, json_file: Path | None, figure: Path | None
) -> None:
    """Measure what things cost here, side by side in one process.

    \b
    sweep        the engine beside sweeps written by hand in JAX and, if installed, PyTorch (the default)
    rules        one update of each rule, beside optax's, on a million parameters
    scaling      time per run and memory of the engine against the number of runs
    compaction   what it saves to let diverged runs go
    landscape    a surface of 51 x 51 cells beside loops over its cells, and what a probe costs
    """
    with mistakes():
        from datetime import date

        from gdlab.bench.machine import claim_cores, machine
        from gdlab.bench.measuring import REPEATS, check, measure, remembered
        from gdlab.bench.table import Measured, as_json, as_markdown, occasion

        check(what, works, markdown, json_file, figure)
        often = repeats or REPEATS[what]
        if what == "rules":
            from gdlab.bench.update_cost import Cost, update_costs
            from gdlab.terminal import print_costs

            costs: list[Cost] = []
            print_costs(remembered(update_costs(often), costs))
            records = [cost._asdict() for cost in costs]
        else:
            from gdlab.terminal import print_measurements

            claim_cores()
            click.echo(f"{occasion(what, machine(), date.today())}\n")
            parts: list[Measured] = []
            tell = lambda text: click.echo(text, err=True)
            for part in remembered(measure(what, works, often, figure, tell), parts):
                if markdown:
                    click.echo(as_markdown(part.table))
                else:
                    print_measurements(part.table)
            records = [part.record for part in parts]
        if json_file is not None:
            json_file.write_text(as_json(what, machine(), date.today(), records), encoding="utf-8")


@main.command()
def doctor() -> None:
    """Tell what this machine is to gdlab: versions, devices, precision, and whether all parts work."""
    from gdlab.doctor import examine

    sys.exit(0 if examine() else FAILED)


def _workers(on: str | None, devices: int | None) -> "AbstractContextManager[Crew | None]":
    """What opens the workers that `--on` names; None where it is not given."""
    if on is None:
        return nullcontext()
    if devices is not None:
        raise UserError("--devices is of this process, and --on has others run: they use all devices that they have")
    from gdlab.on import read

    return read(on)()


def _told(finished: "Finished", quiet: bool) -> None:
    """Print what came out of a run; exit with 1 if a figure could not be drawn."""
    from gdlab.terminal import summary

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


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn what a user can get wrong into a message and an exit code; what the lab gets wrong keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        _stop(INTERRUPTED, "interrupted")
    except Halted as halted:
        _stop(INTERRUPTED if halted.interrupted else FAILED, str(halted))
    except PartlyFailed as failed:
        _stop(PARTLY, str(failed))
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
