"""Weight decay taken off the weights is an L2 penalty for gradient descent, up to its scale, and not for Adam.

After Loshchilov & Hutter (2019), Decoupled weight decay regularization: Propositions 1 and 2, and their heat maps of
the test error over rate and decay. A step with decoupled decay is u = u_rule - decay x, the decay not multiplied by the
rate (in PyTorch it is); with an L2 penalty the rule is given g + decay x. For gradient descent the first is the second
with decay / lr, iterate by iterate. Adam divides the penalty's gradient by the root of its own second moment.

The paper reports that the basin of good pairs of rate and decay is better aligned with the axes under AdamW than under
L2, on residual networks with batch normalisation, over 100 epochs and more. Here: digits, a ReLU network without
normalisation, 400 updates. Of each rate we take the decay at which the test loss reaches 1.5 times what it is with the
least decay, and fit the slope of its logarithm against that of the rate: 0 is aligned, 1 or -1 is diagonal. Over five
seeds this does not settle the matter: both edges are tilted, upwards under AdamW (which holds no weight above
lr / decay), downwards under L2, where slow runs have not yet reached a loss that a penalty could spoil. Our own guess,
slopes of 1 and 0, did not come out: they were 0.68 and -0.95.

Half a minute on two cores.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least, at_most
from gdlab.rules.leafwise import each
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.weight_decay import weight_decay
from gdlab.rules.wrapping import LR, Inner, inner_rule, wrapper
from gdlab.types import Grads, Params, Rule, State, Updates

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER = "Loshchilov & Hutter (2019), Decoupled weight decay regularization"


@register.rule("decoupled-decay", source=f"{PAPER}, Equation 1 and Algorithm 2", wraps=True, needs=("params",))
@wrapper
def decoupled_decay(
    of: Inner = "gd", lr: Hyperparameter = LR, decay: Hyperparameter = 1e-3, **hyperparameters: Any
) -> Rule:
    """Another rule, whose step also takes decay x off the parameters x: u = u_inner - decay x.

    As in the paper decay is not multiplied by the rate; PyTorch's and optax's `weight_decay` is decay / lr.
    """
    inner = inner_rule(of, lr, hyperparameters)

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        updates, after = inner.update(grads, state, params, **extra)
        return each(lambda u, x, decay: u - decay * x, updates, params, decay=decay), after

    return Rule(inner.init, update)


@register.rule("l2-decay", source=f"{PAPER}, Proposition 1", wraps=True, needs=("params",))
@wrapper
def l2_decay(
    of: Inner = "gd",
    lr: Hyperparameter = LR,
    decay: Hyperparameter = 1e-3,
    over_rate: bool = False,
    **hyperparameters: Any,
) -> Rule:
    """Another rule, given the gradient of the loss and decay/2 |x|^2; of decay/(2 lr) |x|^2 with `over_rate`."""
    return weight_decay(of=of, lr=lr, l2=decay / lr if over_rate else decay, **hyperparameters)


FACTOR, GREATEST_RATE = 1.5, 0.05  # above that rate Adam is unstable on this task with and without decay
L2, DECOUPLED, SGD_L2, SGD_DECOUPLED = "adam + L2", "adamw", "sgd + L2 / lr", "sgdw"


def loss(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """The test loss: [rates, decays, seeds]; NaN where a run diverged."""
    return data["eval_loss"].sel(rule=rule).transpose("lr", "decay", "seed").values


def edges(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """For each rate and seed, log10 of the decay at which the loss first passes `FACTOR` times that of the least decay.

    Between two decays along a line in both logarithms; NaN where it never does. [rates, seeds].
    """
    decays, logs = np.log10(data["decay"].values), np.log(loss(data, rule))
    above = logs - logs[:, :1] - np.log(FACTOR)
    above = np.where(np.isfinite(above), above, np.inf)
    found = np.full(above.shape[::2], np.nan)
    for rate, seed in np.ndindex(found.shape):
        line = above[rate, :, seed]
        if (line > 0).any():
            after = int(np.argmax(line > 0))
            low, high = line[after - 1], line[after]
            share = -low / (high - low) if np.isfinite(high) else 1.0
            found[rate, seed] = decays[after - 1] + share * (decays[after] - decays[after - 1])
    return found


def tilts(data: "xarray.Dataset", rule: str) -> list[float]:
    """The slope of log edge against log rate for each seed; NaN where an edge is missing."""
    rates = data["lr"].values
    good = rates < GREATEST_RATE
    return [float(np.polyfit(np.log10(rates[good]), edge[good], 1)[0]) for edge in edges(data, rule).T]


@register.check("adamw", source=PAPER)
def check(data: "xarray.Dataset", pair: tuple[str, str] = (SGD_L2, SGD_DECOUPLED)) -> list[Claim]:
    """For gradient descent the two are one; for Adam they are not; and how the best decay goes with the rate."""
    one, other = (loss(data, rule) for rule in pair)
    apart = np.abs(np.log(one / other)).max(axis=(0, 1))
    strong = data["decay"].values >= 1e-3
    norms = [
        data["param_norm"].isel(step=-1).sel(rule=rule).transpose("decay", "lr", "seed").values
        for rule in (L2, DECOUPLED)
    ]
    differ = np.median(np.abs(np.log(norms[0] / norms[1]))[strong], axis=(0, 1))
    coupled, decoupled = tilts(data, L2), tilts(data, DECOUPLED)
    how = f"slope of the log of the decay at {FACTOR} times the least-decay test loss against log rate, below 0.05"
    return [
        Claim(
            name="gradient descent: L2 against decay",
            statement="For gradient descent decay is an L2 penalty of decay / lr: the iterates are the same.",
            source=f"{PAPER}, Proposition 1",
            expected=at_most(1e-9),
            measured=apart.tolist(),
            how="greatest |log ratio| of the test losses over all rates and decays",
            tolerance="rounding in float64, grown over 400 updates",
            over_seeds="each",
        ),
        Claim(
            name="Adam: L2 against decay",
            statement="For Adam the two are different rules.",
            source=f"{PAPER}, Proposition 2",
            expected=at_least(np.log(1.1)),
            measured=differ.tolist(),
            how="median |log ratio| of the norms of the weights at the end, over pairs with a decay of 1e-3 or more",
            tolerance="a tenth is far above rounding",
        ),
        Claim(
            name="paper: AdamW less tilted than L2",
            statement="The basin of good rates and decays lies better along the axes for AdamW than for Adam with L2.",
            source=f"{PAPER}, on heat maps of residual networks",
            expected=at_most(0),
            measured=(np.abs(decoupled) - np.abs(coupled)).tolist(),
            how=f"|tilt| of AdamW less |tilt| of Adam + L2; tilt: {how}",
            tolerance="none: which is the greater",
        ),
    ]


@register.figure("adamw", dims=["lr", "decay"], source=PAPER)
def draw(data: "xarray.Dataset") -> "Figure":
    """Median test loss over rate and decay, Adam with L2 beside AdamW, with the edge of too strong a decay."""
    from matplotlib.colors import LogNorm

    from gdlab.figures.heat import heat
    from gdlab.figures.style import new_figure, style
    from gdlab.figures.wording import caption

    with style():
        figure = new_figure("double", 3.0)
        panels = figure.subplots(1, 2, sharey=True)
        medians = [np.median(loss(data, rule), axis=2).T for rule in (L2, DECOUPLED)]
        norm = LogNorm(np.nanmin(medians), 1.0, clip=True)
        rates, decays = data["lr"].values, data["decay"].values
        for axes, rule, title, values in zip(panels, (L2, DECOUPLED), ("Adam + L2", "AdamW"), medians, strict=True):
            mesh = heat(axes, _borders(rates), _borders(decays), values, norm)
            axes.set(xscale="log", yscale="log", title=title, xlabel="learning rate")
            _edge(axes, data, rule)
            down, across = np.unravel_index(np.nanargmin(values), values.shape)
            axes.plot(rates[across], decays[down], "*", color="white", markeredgecolor="black", markersize=11)
        panels[0].set_ylabel("decay")
        figure.colorbar(mesh, ax=list(panels), label="test loss", extend="max")
        seeds = data.sizes["seed"]
        words = [
            f"Median of {seeds} seeds; star: the best",
            f"Points: decay that costs {FACTOR} times the loss; line: fit",
        ]
        caption(figure, words, "double")
    return figure


def _borders(values: np.ndarray) -> np.ndarray:
    half = np.sqrt(values[1] / values[0])
    return np.concatenate([[values[0] / half], values * half])


def _edge(axes: "Axes", data: "xarray.Dataset", rule: str) -> None:
    rates, middle = data["lr"].values, np.median(edges(data, rule), axis=1)
    good = rates < GREATEST_RATE
    slope, offset = np.polyfit(np.log10(rates[good]), middle[good], 1)
    axes.plot(rates[good], 10 ** middle[good], "o", color="white", markeredgecolor="black", markersize=4)
    axes.plot(rates[good], 10 ** (offset + slope * np.log10(rates[good])), color="white", linewidth=1.2)
