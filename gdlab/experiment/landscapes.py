"""The landscapes that a config asks for, each a part of its results."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.config import Config, Resolved
from gdlab.engine.progress import Progress
from gdlab.engine.space import Space
from gdlab.experiment.run_selection import Selection
from gdlab.landscape.around_runs import (
    Scene,
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

# The parts, by name. A figure says by `of` which of them it is drawn from.
SHARED, OWN, LINES, SPECTRUM, CURVATURE = PARTS = ("landscape", "landscapes", "lines", "spectrum", "curvature")
# Points of a map of curvature along each direction: each costs as much as a hundred gradients and more.
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
    """Those of the `PARTS` that are wanted, by name; none where no run is left to show.

    Args:
        resolved, data: what was run, and its results.
        selection: the runs that are shown.
        wanted: names of parts. Those that rest on the shared plane bring it along.
        folder: where what is computed is kept meanwhile (see `gdlab.evaluate`).
        progress, stop: as of `gdlab.evaluate`.

    Raises:
        ConfigError: an exact plane, and a problem that is not of two parameters.
        gdlab.engine.execute.Stopped: `stop` said so.
    """
    config = resolved.config
    assert config.landscape is not None
    asked, train = config.landscape, config.train
    problem = resolved.problem(**selection.problem)
    flat = two_parameters(problem)
    kind = ("exact" if flat else "pca") if asked.plane == "auto" else asked.plane
    if kind == "exact":
        refuse_inexact(resolved, [problem])
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
        # Off an exact plane the path of a run that diverged would decide the plane.
        sound = [ok and (kind == "exact" or not lost) for ok, lost in zip(started, selection.diverged, strict=True)]
        options: dict[str, Any] = {"chunk": config.compute.chunk, "folder": folder, "stop": stop}
        options["progress"] = lambda state: progress(state._replace(label="the landscape"))
        made: dict[str, xarray.Dataset] = {}
        if any(started) and OWN in wanted:
            scene = _scene(problem, selection, paths, started)
            own = on_own_planes(scene, points=asked.points, margin=asked.margin, **options)
            made[OWN] = _gridded(_lost(own, selection, started))
        if any(sound):
            scene = _scene(problem, selection, paths, sound)
            made |= _around(scene, kind, config, wanted, options)
            made = {name: part if name == OWN else _lost(part, selection, sound) for name, part in made.items()}
    gone = len(sound) - sum(sound)
    words = f"{selection.words}; without {gone} that diverged" if gone else selection.words
    return {
        name: part.assign_attrs({**data.attrs, "paths": selection.words if name == OWN else words})
        for name, part in made.items()
    }


def refuse_inexact(resolved: Resolved, problems: Iterable[Problem]) -> None:
    """Raise ConfigError if none of the problems has two parameters, so that the loss has no exact plane."""
    if not any(map(two_parameters, problems)):
        raise resolved.error(("landscape", "plane"), "exact needs a problem of two parameters", "use pca or random")


def problems_of(resolved: Resolved, points: Space) -> Iterator[Problem]:
    """The problems of a space: one for each choice of its hyperparameters, but for floats, which change no shape."""
    choices = []
    for block in points.blocks:
        points_of = ({n: v for n, v in block.row(i).items() if n.startswith(PROBLEM)} for i in range(block.size))
        choices.append({repr([v for v in row.values() if not isinstance(v, float)]): row for row in points_of}.values())
    for rows in product(*choices):
        yield resolved.problem(**{n.removeprefix(PROBLEM): value for row in rows for n, value in row.items()})


def _around(
    scene: Scene, kind: str, config: Config, wanted: Collection[str], options: dict[str, Any]
) -> "dict[str, xarray.Dataset]":
    assert config.landscape is not None
    asked, made = config.landscape, {}
    if SHARED in wanted or CURVATURE in wanted:
        found = shared_plane(kind, scene.loss, scene.paths, asked.normalise, asked.seed)
        made[SHARED] = on_shared_plane(scene, kind, found, points=asked.points, margin=asked.margin, **options)
        if CURVATURE in wanted:
            made[CURVATURE] = curvature_on(scene, made[SHARED], found.plane, CURVATURE_POINTS, **options)
    if LINES in wanted:
        made[LINES] = on_lines(scene, asked.lines, asked.normalise, **options)
    if SPECTRUM in wanted:
        made[SPECTRUM] = spectra(scene)
    return made


def _scene(problem: Any, selection: Selection, paths: Paths, kept: Sequence[bool]) -> Scene:
    shown = [one for one, keep in zip(selection.shown, kept, strict=True) if keep]
    return Scene(problem, shown, paths._replace(positions=paths.positions[np.asarray(kept)]))


def _lost(part: "xarray.Dataset", selection: Selection, kept: Sequence[bool]) -> "xarray.Dataset":
    """The part, with which of its runs diverged."""
    dim = "run" if "run" in part.dims else "rule"
    return part.assign(path_diverged=(dim, np.asarray(selection.diverged)[np.asarray(kept)]))


def _gridded(part: "xarray.Dataset") -> "xarray.Dataset":
    """The part with the dims rule and one axis for its runs, where these are all of such a grid."""
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
