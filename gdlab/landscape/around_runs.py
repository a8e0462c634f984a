"""The loss and its curvature around chosen runs: on a shared plane, on a plane per run, and along lines."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.curvature import hessian_product, smoothed, spectral_density, top
from gdlab.landscape.curvature_surface import curvature_surface
from gdlab.landscape.directions import Normalise
from gdlab.landscape.planes import Plane, at, project
from gdlab.landscape.surface_families import random_lines, surfaces
from gdlab.landscape.surface_grids import surface
from gdlab.landscape.trajectories import Paths, Shown
from gdlab.landscape.trajectory_planes import AXES, Found, own_planes
from gdlab.types import Array, Params, Problem

if TYPE_CHECKING:
    import xarray

# Spectra: Lanczos steps, probes, grid points, smoothing width as a share of the extent, and number of top eigenvalues.
SLQ_STEPS, SLQ_PROBES, SLQ_POINTS, SLQ_WIDTH, TOP = 60, 8, 400, 0.01, 5
# The number of points along a line, from -1 to 1.
ALPHAS = 51


class ChosenRuns(NamedTuple):
    """A problem, the chosen runs in their order, and their paths."""

    problem: Problem
    shown: Sequence[Shown]
    paths: Paths

    @property
    def loss(self) -> Callable[[Params], Array]:
        """The loss on all data of the problem."""
        problem = self.problem
        return lambda params: problem.loss(params, problem.data)

    @property
    def ends(self) -> list[np.ndarray]:
        """The last finite position of each run."""
        return [path[-1] for path in self.paths.finite]

    def labelled(self, data: "xarray.Dataset") -> "xarray.Dataset":
        """The Dataset with the rule and the hyperparameters of each run as coordinates along `run`.

        If each rule has one run, the dim is `rule` instead.
        """
        names = dict.fromkeys(name for one in self.shown for name in one.values)
        labels = [one.rule for one in self.shown]
        data = data.drop_vars("run", errors="ignore").assign_coords(rule=("run", np.array(labels, object)))
        for name in names:
            column = [one.values.get(name, np.nan) for one in self.shown]
            if all(isinstance(value, int | float | np.number) for value in column):
                data = data.assign_coords({name: ("run", np.asarray(column, float))})
        return data.swap_dims(run="rule") if len(set(labels)) == len(labels) else data


def two_parameters(problem: Problem) -> bool:
    """Whether the params are one array of shape (2,)."""
    params = jax.eval_shape(problem.init, jax.random.key(0))
    return isinstance(params, jax.ShapeDtypeStruct) and params.shape == (2,)


def on_shared_plane(
    runs: ChosenRuns,
    kind: str,
    found: Found,
    *,
    points: tuple[int, int] | None = None,
    margin: float = 0.15,
    **options: Any,
) -> "xarray.Dataset":
    """The loss on one plane, and the paths of all runs projected onto it.

    Args:
        runs: the chosen runs.
        kind: the kind of the plane, as in `gdlab.landscape.trajectory_planes.shared_plane`.
        found: the result of `shared_plane` for this kind.
        points: the number of points along the horizontal and the vertical axis; by default 201 on an exact plane, else
            51.
        margin: how far the grid extends beyond the paths, as a share of their extent; the grid of a random plane
            extends from -1 to 1.
        options: see `gdlab.evaluate`.

    Returns:
        A Dataset with

        - `loss` (y, x): the loss on all data; it may be NaN or infinite.
        - `path_x`, `path_y`: the coordinates of the nearest point of the plane to each point of a path.
        - `path_off_plane`: the distance from the point of the path to the plane.
        - `path_loss`: the loss on all data at the point of the path.
        - `path_plane_loss`: the loss on all data at the nearest point of the plane.
        - `min_x`, `min_y`: the known minimisers (exact plane only).

        The `path_` variables have the dims (rule or run, point) and are NaN after the end of a run. The coordinate
        `path_step` gives the step of each point. The attributes are `plane`, `x_label`, `y_label`, `loss_label`, the
        norms and the cosine of the directions, and, for pca, `captured`: the fraction of the variance of the paths that
        the plane explains.
    """
    problem, paths = runs.problem, runs.paths
    placed = _placed(runs, found.plane)
    x, y = _window(kind, problem, placed, margin)
    data = surface(runs.loss, found.plane, *_grid(kind, points, x, y), **options)
    names = ("path_x", "path_y", "path_off_plane", "path_loss", "path_plane_loss")
    data = data.assign({n: (("run", "point"), values) for n, values in zip(names, placed, strict=True)})
    data = runs.labelled(data.assign_coords(path_step=("point", paths.steps)))
    minimisers = problem.facts.get("minimisers") if kind == "exact" else None
    if minimisers is not None:
        known = np.asarray(minimisers)
        data = data.assign(min_x=("minimum", known[:, 0]), min_y=("minimum", known[:, 1]))
    x_label, y_label = AXES[kind]
    data = data.assign_attrs(plane=kind, x_label=x_label, y_label=y_label, loss_label="loss")
    return data if found.captured is None else data.assign_attrs(captured=found.captured)


def on_own_planes(
    runs: ChosenRuns, *, points: tuple[int, int] | None = None, margin: float = 0.15, **options: Any
) -> "xarray.Dataset":
    """`loss` over (rule or run, y, x) on the PCA plane of each run, scaled to [-1, 1], and the path of each run on it.

    The variables of the paths are the same as in `on_shared_plane`.
    """
    planes = own_planes(runs.paths, margin)
    across, up = points or (31, 31)
    x, y = np.linspace(-1, 1, across), np.linspace(-1, 1, up)
    unravel, loss = runs.paths.unravel, runs.loss
    data = surfaces(lambda flat: loss(unravel(flat)), planes, x, y, **options)
    place = jax.jit(jax.vmap(lambda flat, plane: project(plane, flat), in_axes=(0, None)))
    places = [
        place(path, jax.tree.map(lambda leaf, run=run: leaf[run], planes))
        for run, path in enumerate(runs.paths.positions)
    ]
    names = ("path_x", "path_y", "path_off_plane")
    data = data.assign(
        {n: (("run", "point"), np.stack(v)) for n, v in zip(names, zip(*places, strict=True), strict=True)}
    )
    data = runs.labelled(data.assign_coords(path_step=("point", runs.paths.steps)))
    return data.assign_attrs(plane="own", loss_label="loss")


def on_lines(runs: ChosenRuns, count: int, normalise: Normalise = "filter", **options: Any) -> "xarray.Dataset":
    """`loss` over (rule or run, plane, alpha), along `count` random lines through the last point of each run.

    All runs use the same keys. The directions are scaled to the weights of each run according to `normalise`.
    """
    import xarray

    keys, alphas = jax.random.split(jax.random.key(0), count), np.linspace(-1, 1, ALPHAS)
    unravel = runs.paths.unravel
    lines = [
        random_lines(runs.loss, unravel(jnp.asarray(end)), keys, alphas, normalise, **options) for end in runs.ends
    ]
    data = runs.labelled(xarray.concat(lines, "run"))
    return data.assign_attrs(normalise=normalise, loss_label="loss")


def spectra(runs: ChosenRuns) -> "xarray.Dataset":
    """The spectral density of the Hessian at the last point of each run, on all data, by stochastic Lanczos quadrature.

    `density` over (rule or run, eigenvalue) is smoothed; `top` over (rule or run, k) are the largest eigenvalues, NaN
    if not converged; `trace` over (rule or run) is from the same quadrature.
    """
    import xarray

    loss, unravel = runs.loss, runs.paths.unravel

    @jax.jit
    def measured(flat: Array) -> Any:
        params = unravel(flat)
        product = hessian_product(loss, params)
        density = spectral_density(product, params, jax.random.key(0), SLQ_STEPS, SLQ_PROBES)
        found = top(product, params, TOP, jax.random.key(1))
        return density, jnp.where(found.converged, found.values, jnp.nan)

    densities, tops = zip(*(measured(jnp.asarray(end)) for end in runs.ends), strict=True)
    nodes = np.concatenate([np.asarray(d.nodes)[np.asarray(d.weights) > 0] for d in densities])
    extent = float(nodes.max() - nodes.min()) or 1.0
    width = SLQ_WIDTH * extent
    grid = np.linspace(nodes.min() - 5 * width, nodes.max() + 5 * width, SLQ_POINTS)
    size = runs.paths.positions.shape[2]
    traces = [size * float(np.mean(np.sum(np.asarray(d.nodes) * np.asarray(d.weights), axis=1))) for d in densities]
    data = xarray.Dataset(
        {
            "density": (
                ("run", "eigenvalue"),
                np.stack([np.asarray(smoothed(d, jnp.asarray(grid), width)) for d in densities]),
            ),
            "top": (("run", "k"), np.stack(tops)),
            "trace": ("run", traces),
        },
        {"eigenvalue": grid},
        {"width": width, "parameters": size},
    )
    return runs.labelled(data)


def curvature_on(
    runs: ChosenRuns, shared: "xarray.Dataset", plane: Plane, points: int, **options: Any
) -> "xarray.Dataset":
    """`curvature_ratio` (y, x), |smallest / largest| eigenvalue of the Hessian, on a coarse grid of the shared plane.

    The paths of `shared` are kept.
    """
    x, y = (np.linspace(shared[name].values[0], shared[name].values[-1], points) for name in ("x", "y"))
    found = curvature_surface(runs.loss, plane, x, y, jax.random.key(0), **options)
    found = found.rename(ratio="curvature_ratio").drop_attrs()
    return shared.drop_dims(("y", "x")).merge(found)


def _placed(runs: ChosenRuns, plane: Plane) -> list[np.ndarray]:
    """For each point of a path [run, point]: x, y, the distance to the plane, the loss, and the loss on the plane."""
    problem, unravel, positions = runs.problem, runs.paths.unravel, runs.paths.positions

    @jax.jit
    def place(path: Any, data: Any) -> Any:
        def one(flat: Any) -> tuple[Any, ...]:
            params = unravel(flat)
            a, b, off = project(plane, params)
            return a, b, off, problem.loss(params, data), problem.loss(at(plane, a, b), data)

        return jax.lax.map(one, path, batch_size=16)

    placed = place(positions.reshape(-1, positions.shape[-1]), problem.data)
    return [np.asarray(values).reshape(positions.shape[:2]) for values in placed]


def _grid(
    kind: str, points: tuple[int, int] | None, x: tuple[float, float], y: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    across, up = points or ((201, 201) if kind == "exact" else (51, 51))
    return np.linspace(*x, across), np.linspace(*y, up)


def _window(
    kind: str, problem: Problem, placed: Sequence[np.ndarray], margin: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The limits of the horizontal and of the vertical axis."""
    if kind == "random":
        return (-1.0, 1.0), (-1.0, 1.0)
    ends = []
    domain = problem.facts.get("domain") if kind == "exact" else None
    for axis in (0, 1):
        values = placed[axis][np.isfinite(placed[axis])]
        lo, hi = (float(values.min()), float(values.max())) if len(values) else (-1.0, 1.0)
        if domain is not None:
            # The domain is always shown; a path far outside extends the window by at most the width on each side.
            (low, high), width = domain[axis], domain[axis][1] - domain[axis][0]
            lo, hi = max(min(lo, low), low - width), min(max(hi, high), high + width)
            ends.append((lo, hi))
            continue
        reach = margin * (hi - lo) or 1.0
        ends.append((lo - reach, hi + reach))
    return ends[0], ends[1]
