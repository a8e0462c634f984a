"""Compute the landscapes of a config; each is stored as a part of its results."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gdlab.config import Config, Resolved
from gdlab.engine.progress import Progress
from gdlab.engine.space import Space
from gdlab.experiment.figures import part_of
from gdlab.experiment.results import LANDSCAPES
from gdlab.experiment.run_selection import Selection
from gdlab.landscape.around_runs import (
    ChosenRuns,
    curvature_on,
    on_lines,
    on_own_planes,
    on_shared_plane,
    spectra,
    two_parameters,
)
from gdlab.landscape.trajectories import Paths, run_paths
from gdlab.landscape.trajectory_planes import shared_plane
from gdlab.training.sweep import PROBLEM
from gdlab.types import Problem

if TYPE_CHECKING:
    import xarray

SHARED, OWN, LINES, SPECTRUM, CURVATURE = LANDSCAPES
# Points of a curvature map along each direction. Each point costs more than a hundred gradients.
CURVATURE_POINTS = 11


def landscapes_of(
    resolved: Resolved,
    data: "xarray.Dataset",
    selection: Selection,
    wanted: Collection[str],
    *,
    folder: Path | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> "dict[str, xarray.Dataset]":
    """Compute the wanted landscapes. Returns them by name; empty if there is no run to show.

    Args:
        resolved, data: the config, and the results of its sweep.
        selection: the runs that are shown.
        wanted: names from `LANDSCAPES`. The curvature lies on the shared plane, which is then computed too.
        folder: the folder to which results are written as they come, to continue a stopped call (see `gdlab.evaluate`).
        progress, stop: as in `gdlab.evaluate`.

    Raises:
        ConfigError: the problem of the chosen runs lacks what the landscape needs (see `check_landscape`).
        gdlab.engine.execute.Stopped: `stop` returned true.
    """
    config = resolved.config
    assert config.landscape is not None
    settings, train = config.landscape, config.train
    problem = resolved.problem(**selection.problem)
    flat = two_parameters(problem)
    kind = ("exact" if flat else "pca") if settings.plane == "auto" else settings.plane
    check_landscape(resolved, lambda: [problem])
    if not selection.shown:
        return {}
    with resolved.precision():
        paths = run_paths(
            problem,
            resolved.rules,
            selection.shown,
            steps=train.steps,
            batch_size=train.batch_size,
            sampling=train.sampling,
            stop=resolved.stop,
        )
        started = [len(path) > 0 for path in paths.finite]
        # On a plane that is not exact, the path of a diverged run would determine the plane.
        sound = [ok and (kind == "exact" or not lost) for ok, lost in zip(started, selection.diverged, strict=True)]
        options: dict[str, Any] = {"chunk": config.compute.chunk, "folder": folder, "stop": stop}
        options["progress"] = lambda state: progress(state._replace(label="the landscape"))
        made: dict[str, xarray.Dataset] = {}
        if any(started) and OWN in wanted:
            scene = _scene(problem, selection, paths, started)
            own = on_own_planes(scene, points=settings.points, margin=settings.margin, **options)
            made[OWN] = _gridded(_lost(own, selection, started))
        if any(sound):
            scene = _scene(problem, selection, paths, sound)
            made |= _around(scene, kind, config, wanted, options)
            made = {name: part if name == OWN else _lost(part, selection, sound) for name, part in made.items()}
    lost = len(sound) - sum(sound)
    words = f"{selection.words}; without {lost} that diverged" if lost else selection.words
    return {
        name: part.assign_attrs({**data.attrs, "paths": selection.words if name == OWN else words})
        for name, part in made.items()
    }


def parts_of(config: Config) -> list[str]:
    """The names of the shared plane and of the landscapes that a config's figures show."""
    shown = [part_of(figure.kind) for figure in config.figures]
    return list(dict.fromkeys([SHARED, *(part for part in shown if part in LANDSCAPES)]))


def check_landscape(resolved: Resolved, problems: Callable[[], Iterable[Problem]]) -> None:
    """Raise an error if the config's landscape is impossible for every problem.

    Raises:
        ConfigError: the plane is `exact`, and no problem has two parameters; or random directions are scaled by filter,
            layer or tensor, and no problem has a parameter array with two or more axes (this scaling leaves biases
            out).
    """
    settings = resolved.config.landscape
    if settings is None:
        return
    if settings.plane == "exact" and not any(map(two_parameters, problems())):
        raise resolved.error(("landscape", "plane"), "exact needs a problem of two parameters", "use pca or random")
    has_random_directions = settings.plane == "random" or LINES in parts_of(resolved.config)
    if has_random_directions and settings.normalise != "none" and not any(map(_has_matrix, problems())):
        message = f"{settings.normalise} scales parameters with two axes or more, and this problem has none"
        raise resolved.error(("landscape", "normalise"), message, "use landscape.normalise: none")


def _has_matrix(problem: Problem) -> bool:
    return any(leaf.ndim > 1 for leaf in jax.tree.leaves(jax.eval_shape(problem.init, jax.random.key(0))))


def problems_of(resolved: Resolved, points: Space) -> Iterator[Problem]:
    """The problems of a space, one for each combination of values of the hyperparameters that are not floats.

    Float hyperparameters do not change the shapes of the parameters, so only one value of each is used.
    """
    choices = []
    for block in points.blocks:
        values = ({n: v for n, v in block.row(i).items() if n.startswith(PROBLEM)} for i in range(block.size))
        choices.append({repr([v for v in row.values() if not isinstance(v, float)]): row for row in values}.values())
    for rows in product(*choices):
        yield resolved.problem(**{n.removeprefix(PROBLEM): value for row in rows for n, value in row.items()})


def _around(
    scene: ChosenRuns, kind: str, config: Config, wanted: Collection[str], options: dict[str, Any]
) -> "dict[str, xarray.Dataset]":
    assert config.landscape is not None
    settings, made = config.landscape, {}
    if SHARED in wanted or CURVATURE in wanted:
        found = shared_plane(kind, scene.loss, scene.paths, settings.normalise, settings.seed)
        made[SHARED] = on_shared_plane(scene, kind, found, points=settings.points, margin=settings.margin, **options)
        if CURVATURE in wanted:
            made[CURVATURE] = curvature_on(scene, made[SHARED], found.plane, CURVATURE_POINTS, **options)
    if LINES in wanted:
        made[LINES] = on_lines(scene, settings.lines, settings.normalise, **options)
    if SPECTRUM in wanted:
        made[SPECTRUM] = spectra(scene)
    return made


def _scene(problem: Any, selection: Selection, paths: Paths, kept: Sequence[bool]) -> ChosenRuns:
    shown = [one for one, keep in zip(selection.shown, kept, strict=True) if keep]
    return ChosenRuns(problem, shown, paths._replace(positions=paths.positions[np.asarray(kept)]))


def _lost(part: "xarray.Dataset", selection: Selection, kept: Sequence[bool]) -> "xarray.Dataset":
    """The part with the variable `path_diverged`, which is true for runs that diverged."""
    dim = "run" if "run" in part.dims else "rule"
    return part.assign(path_diverged=(dim, np.asarray(selection.diverged)[np.asarray(kept)]))


def _gridded(part: "xarray.Dataset") -> "xarray.Dataset":
    """The part with the dims `rule` and one axis in place of `run`, if its runs form a complete grid of these two."""
    if "run" not in part.dims:
        return part
    rules = part["rule"].values
    for name, coord in part.coords.items():
        if name in ("rule", "seed") or coord.dims != ("run",):
            continue
        labels, values = list(dict.fromkeys(rules)), np.unique(coord.values)
        if len(set(zip(rules, coord.values, strict=True))) == len(rules) == len(labels) * len(values):
            others = [n for n, c in part.coords.items() if c.dims == ("run",) and n not in ("rule", name)]
            grid = part.drop_vars(others).set_index(run=["rule", name]).unstack("run")
            return grid.sel({"rule": labels, name: values}).transpose("rule", name, ...)
    return part
