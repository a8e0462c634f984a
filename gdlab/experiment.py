"""A config becomes a results folder: swept, stored, told where it came from, drawn."""

import contextlib
import hashlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

import gdlab.figures  # noqa: F401  (fills the register before a config is checked)
from gdlab import config as configs
from gdlab import provenance, register, results
from gdlab.best import best
from gdlab.config import Config
from gdlab.engine.execute import Progress, execute
from gdlab.engine.plan import Group, plan
from gdlab.engine.space import Space
from gdlab.engine.store import Store
from gdlab.errors import UserError
from gdlab.run_landscape import refuse_inexact, run_landscape
from gdlab.training import OWN, PROBLEM, STATIC, accepted, assignment

if TYPE_CHECKING:
    import xarray


class ExperimentError(UserError):
    """The experiment can't be run as the config asks."""


class Finished(NamedTuple):
    """A finished experiment."""

    folder: Path
    figures: list[Path]
    troubles: list[str]  # figures that could not be drawn, each with its cause


class Prepared(NamedTuple):
    """A config as the engine will run it."""

    config: Config
    space: Space
    groups: tuple[Group, ...]


def prepare(config: Config) -> Prepared:
    """Plan the runs of a config, by tracing each of its programs once.

    Raises:
        ExperimentError: what the config asks for can't be traced: a rule or a problem of the user's fails, say.
    """
    train = config.train
    try:
        with precision(config):
            build, space = assignment(
                configs.problem_factory(config),
                configs.rule_factories(config),
                configs.over(config),
                steps=train.steps,
                batch_size=train.batch_size,
                sampling=train.sampling,
                every=config.record.every,
                probes=configs.probes(config),
                stop=configs.stop(config),
            )
            if config.landscape is not None and config.landscape.plane == "exact":
                refuse_inexact(configs.problem_factory(config)())
            return Prepared(config, space, plan(space, build, STATIC))
    except UserError:
        raise
    except Exception as error:  # whatever a rule or a problem of the user's may raise
        raise ExperimentError(_explained(error)) from error


def run(
    prepared: Prepared,
    out: Path,
    *,
    config_folder: Path = Path(),
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda progress: None,
    formats: Sequence[str] = ("png", "pdf"),
) -> Finished:
    """Run a prepared experiment into a new folder under `out`. The config's `code` is looked for in `config_folder`.

    Raises:
        OSError: the folder can't be made or written.
    """
    config, began = prepared.config, datetime.now().astimezone()
    text = configs.dump(config)
    folder = results.make_folder(out, config.name, hashlib.sha256(text.encode()).hexdigest()[:8], began)
    (folder / results.CONFIG).write_text(text)
    with precision(config):
        told: dict[str, Any] = {"name": config.name, "problem": _titled(config), "status": "running"}
        told["config_folder"] = str(config_folder)
        told |= provenance.surroundings(command, config.precision, began)
        results.write_json(folder / results.PROVENANCE, told)
        timings = execute(prepared.groups, Store(folder, prepared.space), chunk=config.compute.chunk, progress=progress)
        told |= {"status": "finished", "stable_lr": stable_lr(config)}
        told |= provenance.work(timings, began, datetime.now().astimezone())
        results.write_json(folder / results.PROVENANCE, told)
        results.write_runs(folder)
        lacking = ""
        if config.landscape is not None:
            try:
                results.write_landscape(folder, landscape(config, results.open_results(folder), progress))
            except ExperimentError as error:
                lacking = str(error)
    figures, troubles = draw_all(folder, config, formats, lacking)
    return Finished(folder, figures, troubles)


def landscape(
    config: Config, data: "xarray.Dataset", progress: Callable[[Progress], None] = lambda progress: None
) -> "xarray.Dataset":
    """The landscape that a config asks for, around the best run of each rule that has one (of its seeds, the first).

    Raises:
        ExperimentError: every run diverged.
    """
    assert config.landscape is not None
    asked, train, factories = config.landscape, config.train, configs.rule_factories(config)
    top = best(data)
    top = top.isel(rule=np.flatnonzero(top["found"].values))
    if not top.sizes["rule"]:
        raise ExperimentError("there is no path to draw, since every run of every rule diverged")
    axes = [n for names in configs.over(config) for n in ([names] if isinstance(names, str) else names) if n != "seed"]
    seed = int(data["seed"].values[0]) if "seed" in data.coords else 0
    chosen: dict[str, dict[str, Any]] = {}
    for label in top["rule"].values:
        run_axes = accepted(factories[label], [n for n in axes if n not in OWN and not n.startswith(PROBLEM)])
        one = top.sel(rule=label)
        chosen[label] = {name: one[name].item() for name in (*run_axes, *({"batch_size"} & set(axes)))} | {"seed": seed}
    # All paths lie on one surface: where the problem itself is swept, it is that of the best rule.
    leader = top.isel(rule=int(top["final_loss"].values.argmin()))
    swept = {name.removeprefix(PROBLEM): leader[name].item() for name in axes if name.startswith(PROBLEM)}
    with precision(config):
        drawn = run_landscape(
            configs.problem_factory(config)(**swept),
            factories,
            chosen,
            steps=train.steps,
            plane=asked.plane,
            points=asked.points,
            margin=asked.margin,
            batch_size=train.batch_size,
            sampling=train.sampling,
            stop=configs.stop(config),
            chunk=config.compute.chunk,
            progress=progress,
        )
    runs = f"{data['final_loss'].size:,} runs"
    return drawn.assign_attrs(data.attrs, paths=f"Paths: one run of each rule (seed {seed}), its best; {runs} in all")


def draw_all(folder: Path, config: Config, formats: Sequence[str], lacking: str = "") -> tuple[list[Path], list[str]]:
    """Draw the figures of a config from its results: the files, and what could not be drawn and why.

    `lacking`: why there is no landscape, where the config asks for one.
    """
    drawn: list[Path] = []
    troubles: list[str] = []
    for number, figure in enumerate(config.figures):
        earlier = sum(other.kind == figure.kind for other in config.figures[:number])
        stem = figure.kind if not earlier else f"{figure.kind}-{earlier + 1}"
        if lacking and _of_landscape(figure.kind):
            troubles.append(f"{stem}: {lacking}")
            continue
        try:
            drawn += draw(folder, figure.kind, figure.hyperparameters, folder / results.FIGURES / stem, formats)
        except UserError as error:
            troubles.append(f"{stem}: {error}")
    return drawn, troubles


def draw(folder: Path, kind: str, options: Mapping[str, Any], stem: Path, formats: Sequence[str]) -> list[Path]:
    """Draw one figure from a results folder into files named `stem` and a format.

    Raises:
        gdlab.errors.UserError: the folder lacks what the figure is of, or the figure lacks what it is asked for.
    """
    from gdlab.figures import save

    data = results.open_landscape(folder) if _of_landscape(kind) else results.open_results(folder)
    figure = register.figures[kind].make(data, **options)
    stem.parent.mkdir(exist_ok=True)
    return save(figure, stem, formats=tuple(formats))


def _titled(config: Config) -> str:
    """The problem in a figure's title: its kind, and the data that it names."""
    data = config.problem.hyperparameters.get("data")
    return f"{config.problem.kind} on {data}" if isinstance(data, str) else config.problem.kind


def _of_landscape(kind: str) -> bool:
    return register.figures[kind].info.get("of") == "landscape"


def stable_lr(config: Config) -> dict[str, dict[str, float]]:
    """By label, the theory's limit: the rule is stable on the problem for rates below `lr` = `c` / L.

    Only for rules that have such a limit, on a problem whose greatest curvature L is known, where neither is swept.
    """
    swept = {n for names in configs.over(config) for n in ([names] if isinstance(names, str) else names)}
    if any(name.startswith(PROBLEM) for name in swept):
        return {}
    if not any("stability" in _rule_entry(rule.kind).info for rule in config.rules.values()):
        return {}
    smoothness = configs.problem_factory(config)().facts.get("smoothness")
    limits = {}
    for label, rule in config.rules.items():
        entry = _rule_entry(rule.kind)
        if smoothness is None or "stability" not in entry.info:
            continue
        values = {n: p.default for n, p in entry.parameters.items()} | rule.hyperparameters
        values.pop("lr", None)
        if swept & set(values) or any(isinstance(value, Mapping) for value in rule.hyperparameters.values()):
            continue  # a limit for each value, or one that moves with the schedule
        constant = float(entry.info["stability"](**values))
        if np.isfinite(constant):
            limits[label] = {"c": constant, "lr": constant / float(smoothness)}
    return limits


@contextlib.contextmanager
def precision(config: Config) -> Iterator[None]:
    """The float precision that a config asks for, while the block runs."""
    with jax.enable_x64(config.precision == "float64"):
        yield


def _rule_entry(kind: str) -> register.Entry:
    return register.rules.get(kind) or register.Entry(kind, lambda: None)


def _explained(error: Exception) -> str:
    """What went wrong while the user's rule or problem was traced, and in which line of whose file."""
    here = str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith(here)]
    place = f" (in {theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}{place}"
