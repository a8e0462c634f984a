"""A config becomes a results folder: swept, stored, told where it came from, drawn."""

import hashlib
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import gdlab.figures  # noqa: F401  (fills the register before a config is checked)
from gdlab import config as configs
from gdlab import provenance, results
from gdlab.config import Config
from gdlab.drawing import draw_all
from gdlab.engine.execute import Progress, execute
from gdlab.engine.plan import Group, plan
from gdlab.engine.space import Space
from gdlab.engine.store import Store
from gdlab.errors import UserError
from gdlab.landscape_of_config import landscape_of
from gdlab.run_landscape import refuse_inexact
from gdlab.stability import stable_lr
from gdlab.training import PROBLEM, STATIC, assignment


class ExperimentError(UserError):
    """The experiment can't be run as the config asks."""


class Finished(NamedTuple):
    """A finished experiment."""

    folder: Path
    figures: list[Path]
    troubles: list[str]  # figures that could not be drawn, each with its cause
    notes: list[str]  # what there was nothing to draw of


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
        with configs.precision(config):
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
            exact = config.landscape is not None and config.landscape.plane == "exact"
            if exact and not any(name.startswith(PROBLEM) for name in space.names):
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
    with configs.precision(config):
        told: dict[str, Any] = {"name": config.name, "problem": _titled(config), "status": "running"}
        told["config_folder"] = str(config_folder)
        told |= provenance.surroundings(command, config.precision, began)
        results.write_json(folder / results.PROVENANCE, told)
        timings = execute(prepared.groups, Store(folder, prepared.space), chunk=config.compute.chunk, progress=progress)
        told |= {"status": "finished", "stable_lr": stable_lr(config)}
        told |= provenance.work(timings, began, datetime.now().astimezone())
        results.write_json(folder / results.PROVENANCE, told)
        results.write_runs(folder)
        surface = None
        if config.landscape is not None:
            surface = landscape_of(config, results.open_results(folder), progress)
        if surface is not None:
            results.write_landscape(folder, surface)
    lacking = config.landscape is not None and surface is None
    figures, troubles = draw_all(folder, config, formats, but="landscape" if lacking else None)
    return Finished(folder, figures, troubles, ["no landscape: every run of every rule diverged"] if lacking else [])


def _explained(error: Exception) -> str:
    """What went wrong while the user's rule or problem was traced, and in which line of whose file."""
    here = str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith(here)]
    place = f" (in {theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}{place}"


def _titled(config: Config) -> str:
    """The problem in a figure's title: its kind, and the data that it names."""
    data = config.problem.hyperparameters.get("data")
    return f"{config.problem.kind} on {data}" if isinstance(data, str) else config.problem.kind
