"""The boundary between learning rates that train a network and rates at which it diverges is rough at every scale.

After Sohl-Dickstein (2024), The boundary of neural network trainability is fractal (https://arxiv.org/abs/2402.06184).
A network of one hidden layer, full batch, one rate for each layer; each cell of a plane of two rates is a run from the
same start. Width n, standard normal weights and data, mean-field scaling:

    f(x) = act(x W_1 / sqrt(n)) W_2 / n,    loss = mean (f(x) - y)^2,    act(z) = tanh(sqrt(2) z) or z.

There are as many examples as free parameters: n^2 + n, and n for the linear network, whose layers are one. A run
converged if the mean of its last 20 losses is below the first. The dimension of the boundary is the slope of
log(boxes that it enters) on log(1 / side), over sides from a cell to an eighth of the picture. That of a smooth curve
on the same grid, which is 1 but for the coarseness of cells, stands beside it.

Differs from the paper, where each picture is a square of rates at one of many zooms and their median dimension counts:
one square for each network, chosen in pictures of the whole plane, on another draw of the data, where the boundary is
no line; 128 x 128 cells of width 8 and 200 steps in place of 4096 x 4096 of width 16 and 500 (`size=full`: for a GPU);
eight starts. The numbers are therefore not the paper's: they say that the boundary is rougher than a line, not by how
much it would be at finer cells.

About a minute on two cores.
"""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least
from gdlab.types import Array, Grads, Params, Problem, Rule, Step, Updates

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

SOURCE = "Sohl-Dickstein (2024), The boundary of neural network trainability is fractal"
WINDOW, DATA_SEED, LEAST_BOXES = 20, 2024, 8


@register.problem("two-rates-network", source=SOURCE)
def network(activation: Literal["tanh", "identity"] = "tanh", width: int = 8) -> Problem:
    """A mean-field network of one hidden layer on random targets: f(x) = act(x W_1 / sqrt(n)) W_2 / n.

    Params {"first": [n, n], "second": [n, 1]}; data (x [examples, n], y [examples]), the same for every seed.
    """
    examples = width if activation == "identity" else width * (width + 1)
    of_x, of_y = jax.random.split(jax.random.key(DATA_SEED))
    data = (jax.random.normal(of_x, (examples, width)), jax.random.normal(of_y, (examples,)))

    def init(key: Array) -> Params:
        first, second = jax.random.split(key)
        return {"first": jax.random.normal(first, (width, width)), "second": jax.random.normal(second, (width, 1))}

    def loss(params: Params, batch: Any) -> Array:
        x, y = batch
        z = x @ params["first"] / width**0.5
        h = jnp.tanh(2**0.5 * z) if activation == "tanh" else z
        return jnp.mean(((h @ params["second"])[:, 0] / width - y) ** 2)

    return Problem(init=init, loss=loss, data=data)


class Tail(NamedTuple):
    """The first loss, and the sum of those since the last step whose number is 1 more than a multiple of 20."""

    first: Array
    window: Array


@register.rule("two-rates", source=SOURCE)
def two_rates(
    u: float = 0.5,
    v: float = 0.5,
    log_lr: float = 0.0,
    log_lr_out: float = 0.0,
    decades: float = 9.0,
    zoom: float = 1.0,
) -> Rule:
    """Gradient descent with a rate for each of two layers: 10^(log_lr + decades (u - 1/2) / zoom), and so of v.

    (u, v) in [0, 1]^2 is a square of rates around (10^log_lr, 10^log_lr_out).
    """
    side = decades / zoom
    rates = {"first": 10.0 ** (log_lr + side * (u - 0.5)), "second": 10.0 ** (log_lr_out + side * (v - 0.5))}

    def init(params: Params) -> Tail:
        return Tail(jnp.zeros([], jnp.result_type(float)), jnp.zeros([], jnp.result_type(float)))

    def update(
        grads: Grads, state: Tail, params: Params | None = None, *, value: Array, step: Array, **extra: Any
    ) -> tuple[Updates, Tail]:
        first = jnp.where(step == 0, value, state.first)
        window = jnp.where(step % WINDOW == 1, value, state.window + value)
        return {name: -jnp.asarray(rates[name], g.dtype) * g for name, g in grads.items()}, Tail(first, window)

    return Rule(init, update)


@register.probe("tail_loss", source=SOURCE)
def tail_loss(step: Step) -> Array:
    """The mean of the last 20 losses over the first loss, at steps whose number is a multiple of 20."""
    return step.state.window / (WINDOW * step.state.first)


def boundary(inside: np.ndarray) -> np.ndarray:
    """Where the 2 x 2 cells from (i, j) on are of both kinds: [n, n] -> [n, n], its last row and column never."""
    padded = np.pad(inside, ((0, 1), (0, 1)), mode="edge")
    four = np.stack([padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]])
    return four.any(0) & ~four.all(0)


def boxes(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sides 1, 2, 4, ... of boxes, up to an eighth of the picture, and how many of them hold a cell."""
    n = len(cells)
    sides = 2 ** np.arange(int(np.log2(n / LEAST_BOXES)) + 1)
    return sides, np.array([cells.reshape(n // s, s, n // s, s).any((1, 3)).sum() for s in sides])


def dimension(cells: np.ndarray) -> float:
    """The box-counting dimension; NaN where there is no cell."""
    sides, counts = boxes(cells)
    return float(-np.polyfit(np.log(sides), np.log(counts), 1)[0]) if counts.all() else np.nan


def smooth(n: int) -> float:
    """The mean dimension of a circle and of three lines on a grid of n x n."""
    y, x = (np.mgrid[:n, :n] + 0.5) / n - 0.5
    shapes = [x**2 + y**2 < 0.16, *(y > slope * x + 0.05 for slope in (0.3, 1.0, -0.6))]
    return float(np.mean([dimension(boundary(shape)) for shape in shapes]))


def tails(data: "xarray.Dataset", activation: str) -> np.ndarray:
    """The mean of the last losses over the first of a network: [seeds, v, u]; NaN where a run overflowed."""
    (dim,) = data["problem.activation"].dims
    (place,) = np.flatnonzero(data["problem.activation"].values == activation)
    one = data["tail_loss"].isel({"rule": 0, "step": -1, dim: place})
    return one.transpose("seed", "v", "u").values


def dimensions(data: "xarray.Dataset", activation: str) -> np.ndarray:
    """The dimension of the boundary, for each seed."""
    return np.array([dimension(boundary(tail < 1)) for tail in tails(data, activation)])


@register.check("fractal-boundary", source=SOURCE)
def check(data: "xarray.Dataset", rougher: str = "tanh", than: str = "identity", margin: float = 0.15) -> list[Claim]:
    """The boundary's dimension is above that of a smooth curve, and that of a tanh network above a linear one's."""
    n = data.sizes["u"]
    rough, plain = dimensions(data, rougher), dimensions(data, than)
    how = "slope of log(boxes) on log(1 / side), from one cell to an eighth of the picture"
    few = "the boxes of a picture of fewer than 128 cells span less than a decade and a half" if n < 128 else ""
    return [
        Claim(
            name=f"dimension of the boundary, {rougher} − smooth curve",
            statement="The boundary is no smooth curve: its dimension is above 1.",
            source=SOURCE,
            expected=at_least(margin),
            measured=(rough - smooth(n)).tolist(),
            how=f"{how}, less the mean of a circle and three lines on the same grid",
            tolerance="smooth curves on this grid differ by 0.05: three times that",
        ),
        Claim(
            name=f"dimension of the boundary, {rougher} − {than}",
            statement="The boundary of a tanh network is rougher than that of a linear one.",
            source=SOURCE,
            expected=at_least(0),
            measured=(rough - plain).tolist(),
            how=f"{how}; paired by the seed of the start",
            tolerance="a bound: the sign alone is claimed, since the size depends on the square of rates",
            unchecked=few,
        ),
    ]


@register.figure("fractal-boundary", dims=["u", "v", "step"], source=SOURCE)
def draw(data: "xarray.Dataset", seed: int = 0) -> "Figure":
    """Both squares of rates, by how fast runs converge or diverge; and the boxes that hold the boundary."""
    from matplotlib.cm import ScalarMappable

    from gdlab.figures.style import new_figure, style
    from gdlab.figures.wording import caption

    with style():
        figure = new_figure("double", 2.95)
        panels = figure.subplots(1, 3, width_ratios=[1, 1, 0.95])
        for axes, activation in zip(panels[:2], ("tanh", "identity"), strict=True):
            _square(axes, data, activation, seed)
        panels[0].set_ylabel("rate of the second layer")
        _counts(panels[2], data)
        look: dict[str, Any] = {"location": "bottom", "aspect": 45, "pad": 0.03, "fraction": 0.04}
        for name, words in (("Blues", "converged: slow to fast"), ("Reds", "diverged: slow to fast")):
            bar = figure.colorbar(ScalarMappable(cmap=_colours(name)), ax=panels[:2], **look)
            bar.set_ticks([])
            bar.set_label(words, fontsize=7)
        caption(
            figure,
            [
                f"Each of {data.sizes['u']} × {data.sizes['v']} cells is a run from one start, the first of "
                f"{data.sizes['seed']}",
                "Colours are ranks: of the mean of the last 20 losses, and of decades that the loss gains in a step",
            ],
            "double",
        )
    return figure


def _speeds(data: "xarray.Dataset", activation: str, seed: int) -> np.ndarray:
    """log10(last losses / first) over the steps taken: [v, u]; a run that overflowed gained 300 decades by then."""
    (dim,) = data["problem.activation"].dims
    (place,) = np.flatnonzero(data["problem.activation"].values == activation)
    lost = data["diverged_at"].isel({"rule": 0, dim: place, "seed": seed}).transpose("v", "u").values
    tail, steps = tails(data, activation)[seed], float(data["step"].values[-1])
    return np.where(
        lost >= 0, 300 / np.maximum(lost, 1), np.log10(np.where(lost >= 0, 1, np.maximum(tail, 1e-300))) / steps
    )


def _colours(name: str) -> "Colormap":
    """A colour map without its palest third, in which blue and red would be hard to tell apart."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps[name](np.linspace(0.35, 1, 256)))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 to 1; equal values share one."""
    distinct, place = np.unique(values, return_inverse=True)
    return place / max(len(distinct) - 1, 1)


def _square(axes: "Axes", data: "xarray.Dataset", activation: str, seed: int) -> None:
    speeds = _speeds(data, activation, seed)
    inside = tails(data, activation)[seed] < 1
    picture = np.empty((*speeds.shape, 4))
    picture[inside] = _colours("Blues")(_ranks(-speeds[inside]))
    picture[~inside] = _colours("Reds")(_ranks(speeds[~inside]))
    (dim,) = data["problem.activation"].dims
    (place,) = np.flatnonzero(data["problem.activation"].values == activation)
    centre = [float(data[name].isel({dim: place})) for name in ("log_lr", "log_lr_out")]
    half = float(data["decades"].isel({dim: place})) / 2
    extent = (centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half)
    axes.imshow(picture, origin="lower", extent=extent, interpolation="nearest")
    ticks = [np.arange(np.ceil(low * 2), high * 2 + 1e-9) / 2 + 0.0 for low, high in (extent[:2], extent[2:])]
    words = [[f"$10^{{{tick:g}}}$" for tick in some] for some in ticks]
    axes.set_xticks(ticks[0], words[0])
    axes.set_yticks(ticks[1], words[1])
    axes.grid(False)
    found = dimensions(data, activation)
    axes.set(title=f"{activation}, D = {found[seed]:.2f}", xlabel="rate of the first layer")


def _counts(axes: "Axes", data: "xarray.Dataset") -> None:
    """Boxes against their side in cells, over the count at the greatest side, a line for each seed."""
    from gdlab.figures.style import COLOURS, GREY, MARKERS

    for place, activation in enumerate(("tanh", "identity")):
        for number, tail in enumerate(tails(data, activation)):
            sides, counts = boxes(boundary(tail < 1))
            label = f"{activation}, D = {dimensions(data, activation).mean():.2f}" if number == 0 else None
            axes.plot(
                sides, counts, color=COLOURS[1 - place], marker=MARKERS[place], ms=2.5, lw=0.7, alpha=0.8, label=label
            )
    sides, counts = boxes(boundary(np.tri(data.sizes["u"], dtype=bool)))
    axes.plot(sides, counts, color=GREY, linestyle=":", label=f"smooth curve, {smooth(data.sizes['u']):.2f}")
    axes.set(xscale="log", yscale="log", xlabel="side of a box, in cells", ylabel="boxes on the boundary")
    axes.set_xticks(sides, [str(side) for side in sides])
    axes.minorticks_off()
    axes.set_ylim(None, axes.get_ylim()[1] * 8)
    axes.legend(loc="upper right", fontsize=6.5)
