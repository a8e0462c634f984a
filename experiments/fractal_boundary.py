"""The boundary between learning rates that train a network and rates at which it diverges is rough at every scale.

Source: Sohl-Dickstein (2024), The boundary of neural network trainability is fractal
(https://arxiv.org/abs/2402.06184). A network of one hidden layer is trained with the full batch and one rate for each
layer; each cell of a plane of two rates is a run from the same start. Width n, standard normal weights and data,
mean-field scaling:

    f(x) = act(x W_1 / sqrt(n)) W_2 / n,    loss = mean (f(x) - y)^2,    act(z) = tanh(sqrt(2) z) or z.

There are as many examples as free parameters: n^2 + n, or n for the linear network, whose two layers act as one. A run
counts as converged if the mean of its last 20 losses is below its first loss. The dimension of the boundary is the
slope of log(number of boxes that contain boundary) against log(1 / side), for sides from one cell to an eighth of the
picture. It is compared with the dimension of smooth curves on the same grid, which is 1 up to the error of the grid.

Differs from the paper:

- the paper takes the median dimension of squares of rates at many zooms; here there is one square for each network.
  It was chosen where the boundary looks rough in pictures of the whole plane, made with another draw of the data;
- 128 x 128 cells of width 8 and 200 steps instead of 4096 x 4096 of width 16 and 500 (`size=full`, for a GPU);
- eight starts.

The numbers therefore differ from the paper's: they show that the boundary is rougher than a smooth curve, not its
dimension at finer cells.

Takes about a minute on two cores.
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
    """The first loss, and the sum of the losses since the last step t with t mod 20 = 1."""

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
    """Gradient descent with one rate for each of two layers.

    The first layer has the rate 10^(log_lr + decades (u - 1/2) / zoom), the second 10^(log_lr_out + decades (v - 1/2) /
    zoom). (u, v) in [0, 1]^2 spans a square of rates around (10^log_lr, 10^log_lr_out).
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
    """Mean of the last 20 losses divided by the first loss; valid at steps that are multiples of 20."""
    return step.state.window / (WINDOW * step.state.first)


def boundary(inside: np.ndarray) -> np.ndarray:
    """Whether the 2 x 2 block that starts at each cell is mixed, [n, n] -> [n, n]: it holds both True and False.

    The last row and column are repeated.
    """
    padded = np.pad(inside, ((0, 1), (0, 1)), mode="edge")
    four = np.stack([padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]])
    return four.any(0) & ~four.all(0)


def boxes(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Box sides 1, 2, 4, ... up to an eighth of the picture, and the number of boxes that contain a cell."""
    n = len(cells)
    sides = 2 ** np.arange(int(np.log2(n / LEAST_BOXES)) + 1)
    return sides, np.array([cells.reshape(n // s, s, n // s, s).any((1, 3)).sum() for s in sides])


def dimension(cells: np.ndarray) -> float:
    """Box-counting dimension; NaN if there is no cell."""
    sides, counts = boxes(cells)
    return float(-np.polyfit(np.log(sides), np.log(counts), 1)[0]) if counts.all() else np.nan


def smooth(n: int) -> float:
    """Mean box-counting dimension of a circle and three lines on an n x n grid."""
    y, x = (np.mgrid[:n, :n] + 0.5) / n - 0.5
    shapes = [x**2 + y**2 < 0.16, *(y > slope * x + 0.05 for slope in (0.3, 1.0, -0.6))]
    return float(np.mean([dimension(boundary(shape)) for shape in shapes]))


def tails(data: "xarray.Dataset", activation: str) -> np.ndarray:
    """Mean of the last losses divided by the first loss: [seeds, v, u]; NaN where a run overflowed."""
    (dim,) = data["problem.activation"].dims
    (place,) = np.flatnonzero(data["problem.activation"].values == activation)
    one = data["tail_loss"].isel({"rule": 0, "step": -1, dim: place})
    return one.transpose("seed", "v", "u").values


def dimensions(data: "xarray.Dataset", activation: str) -> np.ndarray:
    """Dimension of the boundary for each seed."""
    return np.array([dimension(boundary(tail < 1)) for tail in tails(data, activation)])


@register.check("fractal-boundary", source=SOURCE)
def check(data: "xarray.Dataset", rougher: str = "tanh", than: str = "identity", margin: float = 0.15) -> list[Claim]:
    """The boundary's dimension exceeds a smooth curve's, and is larger for a tanh network than for a linear one."""
    n = data.sizes["u"]
    rough, plain = dimensions(data, rougher), dimensions(data, than)
    how = "slope of log(boxes) on log(1 / side), from one cell to an eighth of the picture"
    few = "needs at least 128 x 128 cells: on smaller grids the box sides span too small a range" if n < 128 else ""
    return [
        Claim(
            name=f"dimension of the boundary, {rougher} − smooth curve",
            statement="The boundary is rougher than a smooth curve: its dimension is above 1.",
            source=SOURCE,
            expected=at_least(margin),
            measured=(rough - smooth(n)).tolist(),
            how=f"{how}, minus the mean of a circle and three lines on the same grid",
            tolerance="three times the difference of 0.05 between smooth curves on this grid",
        ),
        Claim(
            name=f"dimension of the boundary, {rougher} − {than}",
            statement="The boundary of a tanh network is rougher than that of a linear one.",
            source=SOURCE,
            expected=at_least(0),
            measured=(rough - plain).tolist(),
            how=f"{how}; paired by the seed of the start",
            tolerance="none: only the sign is tested, since the size depends on the square of rates",
            unchecked=few,
        ),
    ]


@register.figure("fractal-boundary", dims=["u", "v", "step"], source=SOURCE)
def draw(data: "xarray.Dataset", seed: int = 0) -> "Figure":
    """Both squares of rates, coloured by how fast runs converge or diverge; number of boxes that contain boundary."""
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
                "Colours: ranks of the mean of the last 20 losses, and of the decades the loss grows per step",
            ],
            "double",
        )
    return figure


def _speeds(data: "xarray.Dataset", activation: str, seed: int) -> np.ndarray:
    """log10(last losses / first) per step: [v, u]; a run that overflowed counts as 300 decades."""
    (dim,) = data["problem.activation"].dims
    (place,) = np.flatnonzero(data["problem.activation"].values == activation)
    lost = data["diverged_at"].isel({"rule": 0, dim: place, "seed": seed}).transpose("v", "u").values
    tail, steps = tails(data, activation)[seed], float(data["step"].values[-1])
    return np.where(
        lost >= 0, 300 / np.maximum(lost, 1), np.log10(np.where(lost >= 0, 1, np.maximum(tail, 1e-300))) / steps
    )


def _colours(name: str) -> "Colormap":
    """A colour map without its palest third, where blue and red are hard to distinguish."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps[name](np.linspace(0.35, 1, 256)))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 to 1; equal values have equal ranks."""
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
    """Draw the number of boxes that contain boundary against their side in cells, one line per seed."""
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
