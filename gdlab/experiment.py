"""A config becomes a results folder: swept, stored, told where it came from, drawn."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import gdlab.figures  # noqa: F401  (fills the register before a config is checked)
from gdlab import config as configs
from gdlab import provenance, results
from gdlab.best import best
from gdlab.config import Config
from gdlab.engine.execute import Progress, execute
from gdlab.engine.plan import Group, plan
from gdlab.engine.space import Space, SpaceError
from gdlab.engine.store import Store
from gdlab.run_landscape import run_landscape
from gdlab.training import STATIC, assignment
from gdlab.types import Problem

if TYPE_CHECKING:
    import xarray


class ExperimentError(Exception):
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
            return Prepared(config, space, plan(space, build, STATIC))
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, SpaceError) as error:
        raise ExperimentError(_explained(error)) from error


def run(
    prepared: Prepared,
    out: Path,
    *,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda progress: None,
    formats: Sequence[str] = ("png", "pdf"),
) -> Finished:
    """Run a prepared experiment into a new folder under `out`.

    Raises:
        OSError: the folder can't be made or written.
    """
    config, began = prepared.config, datetime.now().astimezone()
    text = configs.dump(config)
    folder = results.make_folder(out, config.name, hashlib.sha256(text.encode()).hexdigest()[:8], began)
    (folder / results.CONFIG).write_text(text)
    with precision(config):
        told = {"name": config.name, "problem": config.problem.kind, "status": "running"}
        told |= provenance.surroundings(command, config.precision, began)
        results.write_json(folder / results.PROVENANCE, told)
        timings = execute(prepared.groups, Store(folder, prepared.space), chunk=config.compute.chunk, progress=progress)
        told |= {"status": "finished", "stable_lr": stable_lr(config)}
        told |= provenance.work(timings, began, datetime.now().astimezone())
        results.write_json(folder / results.PROVENANCE, told)
        results.write_runs(folder)
        if config.landscape is not None:
            results.write_landscape(folder, landscape(config, results.open_results(folder), progress))
    figures, troubles = draw_all(folder, config, formats)
    return Finished(folder, figures, troubles)


def landscape(
    config: Config, data: "xarray.Dataset", progress: Callable[[Progress], None] = lambda progress: None
) -> "xarray.Dataset":
    """The landscape that a config asks for, around the best run of each rule that has one."""
    assert config.landscape is not None
    asked, train = config.landscape, config.train
    top = best(data)
    axes = [name for block in configs.over(config) for name in ([block] if isinstance(block, str) else block)]
    chosen: dict[str, dict[str, Any]] = {}
    for label in data["rule"].values:
        one = top.sel(rule=label)
        if not np.isfinite(one["final_loss"]):
            continue
        values = {axis: one[axis].item() for axis in axes if axis in one.coords}
        chosen[str(label)] = {"seed": int(data["seed"].values[0]) if "seed" in data.coords else 0, **values}
    if not chosen:
        raise ExperimentError("no landscape: every run of every rule diverged")
    # All paths lie on one surface: where the problem itself is swept, that of the best rule.
    leader = min(chosen, key=lambda label: float(top["final_loss"].sel(rule=label)))
    swept = {a[8:]: v for a, v in chosen[leader].items() if a.startswith("problem.")}
    factories = configs.rule_factories(config)
    with precision(config):
        problem: Problem = configs.problem_factory(config)(**swept)
        return run_landscape(
            problem,
            factories,
            {label: _own(factories[label], values) for label, values in chosen.items()},
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
