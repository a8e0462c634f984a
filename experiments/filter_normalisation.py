"""Filter-normalised landscapes are the same for networks that compute the same function; effect of skip connections.

Source: Li, Xu, Taylor, Studer & Goldstein (2018), Visualizing the loss landscape of neural nets
(https://arxiv.org/abs/1712.09913). The loss is drawn on a plane through the trained weights along two random
directions; each filter of a direction is scaled to the norm of the corresponding filter of the weights. In a ReLU
network, multiplying one layer by c and dividing the next by c leaves the function unchanged. Along plain random
directions the rescaled network looks flatter or sharper; along filter-normalised directions it looks the same. Without
skips the surface around deep networks becomes sharp and irregular; with skips it stays smooth.

Setup: tanh perceptrons of width 32 on images of digits, with 2 and 24 hidden layers, Adam, batches of 128, 600 steps,
the best of three rates, three seeds.

Differs from the paper:

- perceptrons on digits instead of ResNets on CIFAR-10;
- the planes of one seed use the same random numbers with and without skips, so they differ only by the weights.

In these small networks the shape differs: contours around a deep network without skips are less round. We found this on
seeds 0 to 2, measured as the spread of a contour's radius. On seeds 3 to 5 the claim is uncertain. We do not find that
networks without skips are sharper. The mean loss over the plane rises less without skips (by 0.22 in log10 on seeds 0
to 2), because it saturates at the loss of a random guess; with skips it keeps rising.

Takes a minute on two cores; size fast has one seed and 100 steps, and the claim on skips is unchecked.
"""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least, at_most
from gdlab.landscape import at, random_plane
from gdlab.problems import mlp
from gdlab.types import Array, Params, Problem

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SOURCE = "Li et al. (2018), Visualizing the loss landscape of neural nets"
DEPTH, SKIP = "problem.depth", "problem.skip"
POINTS, REACH = 31, 1.0


@register.problem("deep-mlp", source=SOURCE)
def deep_mlp(depth: int = 2, skip: bool = False, seed: int = 1) -> Problem:
    """A tanh network of `depth` layers of 32 on digits; the metric `surface` [31, 31] is the loss around its weights.

    `surface` is the loss on all training examples at (a, b) in [-1, 1]^2 of the filter-normalised random plane drawn
    from `seed`; rows are b.
    """
    plain = mlp("digits", (32,) * depth, activation="tanh", init="glorot", skip=skip)

    def surface(params: Params, batch: Any) -> Array:
        plane = random_plane(jax.random.key(seed), params)
        along = jnp.linspace(-REACH, REACH, POINTS)
        return jax.lax.map(lambda b: jax.vmap(lambda a: plain.loss(at(plane, a, b), batch))(along), along)

    return Problem(init=plain.init, loss=plain.loss, data=plain.data, metrics={"surface": surface})


def best(data: "xarray.Dataset") -> "xarray.Dataset":
    """Each network at the rate with its smallest final loss."""
    one = data.isel(rule=0)
    return one.isel(lr=one["final_loss"].fillna(np.inf).argmin("lr"))


def irregularity(data: "xarray.Dataset", level: float = 0.5) -> "xarray.DataArray":
    """Standard deviation over 64 angles of the log of the radius at which the loss first exceeds `level`.

    0 for a round contour. Where the loss stays below `level` up to the edge of the plane, the radius is that of the
    plane.
    """
    from scipy.interpolate import RegularGridInterpolator

    surfaces = best(data)["eval_surface"]
    along, radii = np.linspace(-REACH, REACH, POINTS), np.linspace(0.02, REACH, 99)
    angles = np.arange(64) * 2 * np.pi / 64
    rays = radii[:, None, None] * np.stack([np.sin(angles), np.cos(angles)], -1)

    def spread(surface: np.ndarray) -> float:
        losses = RegularGridInterpolator((along, along), np.log(surface))(rays)
        above = losses > np.log(level)
        first = np.where(above.any(0), radii[above.argmax(0)], REACH)
        return float(np.log(first).std())

    cells = surfaces.dims[-2:]
    whole = surfaces.transpose(..., *cells)
    found = np.array([spread(one) for one in whole.values.reshape(-1, POINTS, POINTS)]).reshape(whole.shape[:-2])
    return whole.isel(dict.fromkeys(cells, 0), drop=True).copy(data=found)


def rescaled_difference(normalise: Any, factor: float = 3.0) -> float:
    """Largest relative difference, on a plane, of the losses of a ReLU network and of a rescaled equivalent network."""
    problem = mlp("digits", (32, 32))
    params = problem.init(jax.random.key(0))
    layers = {name: dict(layer) for name, layer in params["layers"].items()}
    layers[0] = {name: factor * leaf for name, leaf in layers[0].items()}
    layers[1]["kernel"] = layers[1]["kernel"] / factor
    along = jnp.linspace(-REACH, REACH, 11)

    def line(params: Params) -> Array:
        plane = random_plane(jax.random.key(2), params, normalise)
        return jax.vmap(lambda a: problem.loss(at(plane, a, 0.5 * a), problem.data))(along)

    one, other = jax.jit(line)(params), jax.jit(line)({"layers": layers})
    return float(np.max(np.abs(one - other) / one))


@register.check("filter-normalisation", source=SOURCE)
def check(data: "xarray.Dataset", normalise: str = "filter") -> list[Claim]:
    """Filter-normalised surfaces are invariant to a rescaling; skips make the surface of a deep network rounder."""
    spread = irregularity(data).transpose(DEPTH, SKIP, "seed")
    with np.errstate(divide="ignore", invalid="ignore"):  # where no loss exceeds the level
        less = np.log2(spread.sel({SKIP: False}) / spread.sel({SKIP: True}))
    short = "100 steps do not train the deep networks" if data.attrs.get("size") == "fast" else ""
    return [
        Claim(
            name="rescaled ReLU network, filter-normalised: difference",
            statement="Filter-normalised surfaces are the same for two networks that compute the same function.",
            source=f"{SOURCE}, Section 4",
            expected=at_most(1e-4),
            measured=[rescaled_difference(normalise)],
            how="one layer times 3, the next divided by 3; largest relative difference of 11 losses on a line",
            tolerance="rounding of float32 losses",
        ),
        Claim(
            name="rescaled ReLU network, plain directions: difference",
            statement="Along plain random directions the surfaces of these two networks differ.",
            source=f"{SOURCE}, Section 3",
            expected=at_least(0.1),
            measured=[rescaled_difference("none")],
            how="the same, with directions that are not normalised",
            tolerance="a difference of 10% is visible in a figure",
        ),
        Claim(
            name=f"{int(less[DEPTH][-1])} layers: log2 of irregularity without skips / with",
            statement="Without skips the surface around a deep network is less regular.",
            source=f"{SOURCE}, Figure 1 and Section 5",
            expected=at_least(0.0),
            measured=less.isel({DEPTH: -1}).values.tolist(),
            how="standard deviation over angles of the log radius of the contour at 0.5, at each network's best rate",
            tolerance="none: only the sign is tested; other seeds showed a factor of two",
            unchecked=short,
        ),
        Claim(
            name="deep networks are sharper without skips",
            statement="Without skips the surface around a deep network is sharper.",
            source=f"{SOURCE}, Figure 1 and Section 5",
            expected=at_least(0.0),
            measured=[],
            how="mean increase of the loss over the plane",
            tolerance="none",
            unchecked="not testable with perceptrons on digits, whose loss rises less; needs the paper's ResNets",
        ),
    ]


@register.figure("filter-normalisation", dims=[DEPTH, SKIP])
def draw(data: "xarray.Dataset") -> "Figure":
    """Contours of the loss at the same levels in all panels: one column per depth, without (top) and with skips."""
    from gdlab.figures.style import new_figure, style

    one = best(data).isel(seed=0)
    cells = one["eval_surface"].dims[-2:]
    along, depths = np.linspace(-REACH, REACH, POINTS), one[DEPTH].values
    surfaces = one["eval_surface"].transpose(SKIP, DEPTH, *cells)
    low, high = np.log10(float(surfaces.min())), np.log10(float(surfaces.max()))
    levels = np.logspace(low, high, 21)
    with style():
        figure = new_figure("single", 3.1)
        panels = figure.subplots(2, depths.size, sharex=True, sharey=True, squeeze=False)
        for row, skip in enumerate((False, True)):
            for column, depth in enumerate(depths):
                axes = panels[row, column]
                values = surfaces.sel({SKIP: skip}).isel({DEPTH: column}).values
                filled = axes.contourf(along, along, np.log10(values), np.log10(levels), cmap="viridis")
                axes.contour(
                    along, along, np.log10(values), np.log10(levels), colors="w", linewidths=0.35, linestyles="-"
                )
                axes.plot(0, 0, "+", color="w", markersize=5)
                axes.set(aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
                if row == 0:
                    axes.set_title(f"{depth} layers", loc="center")
            panels[row, 0].set_ylabel("with skips" if skip else "without skips")
        bar = figure.colorbar(filled, ax=panels, shrink=0.8, label="training loss")
        marks = [tick for tick in (1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100) if low <= np.log10(tick) <= high]
        bar.set_ticks(np.log10(marks), labels=[f"{mark:g}" for mark in marks])
    return figure
