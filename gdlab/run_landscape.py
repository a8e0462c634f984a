"""The loss on a plane, with the paths of chosen runs on it."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab.engine.evaluate import evaluate, run
from gdlab.engine.plan import Build
from gdlab.engine.watch import Progress
from gdlab.errors import SelectionError
from gdlab.landscape import Plane, at, coordinate_plane, pca_plane, project, random_plane
from gdlab.probes import position
from gdlab.training import OWN, RuleLike, assignment
from gdlab.types import Problem

if TYPE_CHECKING:
    import xarray

PlaneKind = Literal["auto", "exact", "pca", "random"]

# Points kept of a path: more than a figure can show, few enough to hold for a network.
PATH_POINTS = 250


def run_landscape(
    problem: Problem,
    rules: Mapping[str, RuleLike],
    chosen: Mapping[str, Mapping[str, Any]],
    *,
    steps: int,
    plane: PlaneKind = "auto",
    points: tuple[int, int] | None = None,
    margin: float = 0.15,
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    **settings: Any,
) -> "xarray.Dataset":
    """Run one chosen run of each rule again, keeping its path, and evaluate the loss on a plane that shows the paths.

    Args:
        problem: what was minimised.
        rules: the rule factories by label.
        chosen: for each label to show, the value of each axis (`lr`, `seed`, ...) of the run to show; those that its
            rule has, and none of the problem's.
        steps, settings: as in `gdlab.sweep`.
        plane: "exact" for a problem with two parameters: the axes are the parameters. "pca": through the mean of all
            paths, along the two directions of their greatest variance. "random": through the final point of the first
            path, along two random directions, filter-normalised, from -1 to 1. "auto": exact where it can be, else pca.
        points: how many along the horizontal and the vertical axis; by default 201 on an exact plane, else 51.
        margin: how far the plane reaches past the paths, as a share of their extent.

    Returns:
        A Dataset with `loss` (y, x), on all of the problem's data, NaN or infinite where it is so; and over
        (rule, point), NaN after a run's end: `path_x`, `path_y` (the nearest point of the plane), `path_off_plane` (the
        distance from it), `path_loss` (at the path, on all data), `path_plane_loss` (at the nearest point of the
        plane), with the coordinate `path_step`. `min_x`, `min_y`: known minimisers, on an exact plane. Attributes:
        `plane`, `x_label`, `y_label`, `loss_label`, and for pca `captured`, the share of the paths' variance about
        their mean that lies in the plane.

    Raises:
        SelectionError: "exact" for a problem whose parameters are not one array of two.
    """
    start = jax.eval_shape(problem.init, jax.random.key(0))
    kind = ("exact" if two_parameters(problem) else "pca") if plane == "auto" else plane
    if kind == "exact":
        refuse_inexact(problem)
    every = -(-steps // PATH_POINTS) or 1
    paths = _paths(problem, rules, chosen, steps=steps + 1, every=every, **settings)
    unravel = ravel_pytree(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), start))[1]
    stacked = np.stack([paths[label] for label in chosen])
    shown, captured = _plane(kind, stacked, unravel)
    placed = _placed(problem, shown, unravel, stacked)
    x, y = _window(kind, problem, placed, margin)
    across, up = points or ((201, 201) if kind == "exact" else (51, 51))
    surface = evaluate(
        lambda x, y: {"loss": problem.loss(at(shown, x, y), problem.data)},
        {"y": np.linspace(*y, up), "x": np.linspace(*x, across)},
        chunk=chunk,
        progress=progress,
    )
    names = ("path_x", "path_y", "path_off_plane", "path_loss", "path_plane_loss")
    surface = surface.assign({n: (("rule", "point"), values) for n, values in zip(names, placed, strict=True)})
    surface = surface.assign_coords(rule=("rule", np.array(list(chosen), object)))
    surface = surface.assign_coords(path_step=("point", every * np.arange(stacked.shape[1])))
    for axis in sorted({axis for values in chosen.values() for axis in values}):
        column = [values.get(axis, np.nan) for values in chosen.values()]
        if all(isinstance(value, int | float | np.number) for value in column):
            surface = surface.assign_coords({axis: ("rule", np.asarray(column, float))})
    minimisers = problem.facts.get("minimisers") if kind == "exact" else None
    if minimisers is not None:
        known = np.asarray(minimisers)
        surface = surface.assign(min_x=("minimum", known[:, 0]), min_y=("minimum", known[:, 1]))
    words = {"exact": ("x", "y"), "pca": ("first direction", "second direction")}
    x_label, y_label = words.get(kind, ("random direction 1", "random direction 2"))
    surface.attrs = {"plane": kind, "x_label": x_label, "y_label": y_label, "loss_label": "loss"}
    if captured is not None:
        surface.attrs["captured"] = captured
    return surface


def refuse_inexact(problem: Problem) -> None:
    """Raise SelectionError if the problem does not lie in a plane as it is, with an array of two for its parameters."""
    if not two_parameters(problem):
        raise SelectionError("landscape.plane: exact needs a problem of two parameters; use pca or random")


def two_parameters(problem: Problem) -> bool:
    """Whether the params are one array of shape (2,), so that the problem is a plane itself."""
    params = jax.eval_shape(problem.init, jax.random.key(0))
    return isinstance(params, jax.ShapeDtypeStruct) and params.shape == (2,)


def _paths(
    problem: Problem,
    rules: Mapping[str, RuleLike],
    chosen: Mapping[str, Mapping[str, Any]],
    *,
    batch_size: int | None = None,
    **settings: Any,
) -> dict[str, np.ndarray]:
    """The positions of the chosen runs, [points, d] each; NaN after a run's end."""
    paths: dict[str, np.ndarray] = {}
    # Runs that share a seed and a batch size go through one sweep, in which the next is compiled while one runs.
    shared = {label: (v.get("seed", 0), v.get("batch_size", batch_size)) for label, v in chosen.items()}
    for seed, size in dict.fromkeys(shared.values()):
        bound = {n: _bound(rules[n], chosen[n]) for n in chosen if shared[n] == (seed, size)}
        in_batches = None if size == "all" else size
        watched = {"position": position}
        build, points = assignment(problem, bound, {}, seed=seed, batch_size=in_batches, probes=watched, **settings)
        data = run(points, _without_finish(build))
        paths |= {label: data["position"].sel(rule=label).values for label in bound}
    return {label: paths[label] for label in chosen}


def _without_finish(build: Build) -> Build:
    """The same runs, but for their outcomes, which are known."""
    return lambda values: build(values)._replace(finish=lambda point, carry: {})


def _bound(rule: RuleLike, values: Mapping[str, Any]) -> RuleLike:
    own = {name: value for name, value in values.items() if name not in OWN}
    return functools.partial(rule, **own) if own else rule


def _plane(kind: str, paths: np.ndarray, unravel: Callable[[Any], Any]) -> tuple[Plane, float | None]:
    finite = [path[np.isfinite(path).all(axis=1)] for path in paths]
    if kind == "exact":
        return coordinate_plane(), None
    if kind == "random":
        return random_plane(jax.random.key(0), unravel(jnp.asarray(finite[0][-1]))), None
    plane, captured = jax.jit(lambda path: pca_plane(jax.vmap(unravel)(path)))(np.concatenate(finite))
    return plane, float(captured)


def _placed(problem: Problem, plane: Plane, unravel: Callable[[Any], Any], paths: np.ndarray) -> list[np.ndarray]:
    """x, y, the distance off the plane, the loss there and the loss at the nearest point of the plane, [path, point]"""

    @jax.jit
    def place(path: Any, data: Any) -> Any:
        def one(flat: Any) -> tuple[Any, ...]:
            params = unravel(flat)
            a, b, off = project(plane, params)
            return a, b, off, problem.loss(params, data), problem.loss(at(plane, a, b), data)

        return jax.lax.map(one, path, batch_size=16)

    placed = place(paths.reshape(-1, paths.shape[-1]), problem.data)
    return [np.asarray(values).reshape(paths.shape[:2]) for values in placed]


def _window(
    kind: str, problem: Problem, placed: Sequence[np.ndarray], margin: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ends of the horizontal and of the vertical axis."""
    if kind == "random":
        return (-1.0, 1.0), (-1.0, 1.0)
    ends = []
    domain = problem.facts.get("domain") if kind == "exact" else None
    for axis in (0, 1):
        values = placed[axis][np.isfinite(placed[axis])]
        lo, hi = (float(values.min()), float(values.max())) if len(values) else (-1.0, 1.0)
        if domain is not None:
            # A wild path must not shrink what people know the function by: at most as much again on either side.
            (low, high), width = domain[axis], domain[axis][1] - domain[axis][0]
            lo, hi = max(min(lo, low), low - width), min(max(hi, high), high + width)
            ends.append((lo, hi))
            continue
        reach = margin * (hi - lo) or 1.0
        ends.append((lo - reach, hi + reach))
    return ends[0], ends[1]
