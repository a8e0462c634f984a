"""Decoupled weight decay equals an L2 penalty for gradient descent, up to its scale, but not for Adam.

Source: Loshchilov & Hutter (2019), Decoupled weight decay regularization: Propositions 1 and 2, and their heat maps of
the test error over learning rate and decay. A step with decoupled decay is u = u_rule - decay x. As in the paper, decay
is not multiplied by the learning rate (in PyTorch it is). With an L2 penalty the rule receives g + decay x. For
gradient descent, decoupled decay equals an L2 penalty of decay / lr at every iterate. Adam divides the penalty's
gradient by the root of its second moment, so the two differ.

The paper reports that the basin of good pairs of rate and decay is better aligned with the axes under AdamW than under
L2. To measure this, we take for each rate the decay at which the test loss reaches 1.5 times its value at the smallest
decay, and fit the slope of the logarithm of this decay against the logarithm of the rate. A slope of 0 means aligned
with the axes; 1 or -1 means diagonal. With five seeds the answer is uncertain, because both edges are tilted:

- under AdamW upwards, since AdamW keeps weights below lr / decay;
- under L2 downwards, since slow runs have not yet reached a loss that a penalty could increase.

Before the run we expected slopes of 1 (AdamW) and 0 (L2). The measured slopes are 0.68 and -0.95.

Differs from the paper: digits and a ReLU network without normalisation for 400 updates, instead of residual networks
with batch normalisation for 100 epochs and more.

Takes half a minute on two cores.
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
    """Add decoupled weight decay to another rule: u = u_inner - decay x.

    As in the paper, decay is not multiplied by the learning rate; `weight_decay` of PyTorch and optax is decay / lr.
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
    """Pass another rule the gradient of loss + decay/2 |x|^2, or of loss + decay/(2 lr) |x|^2 with `over_rate`."""
    return weight_decay(of=of, lr=lr, l2=decay / lr if over_rate else decay, **hyperparameters)


FACTOR, GREATEST_RATE = 1.5, 0.05  # above this rate Adam is unstable on this task, with and without decay
L2, DECOUPLED, SGD_L2, SGD_DECOUPLED = "adam + L2", "adamw", "sgd + L2 / lr", "sgdw"


def loss(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """Test loss [rates, decays, seeds]; NaN where a run diverged."""
    return data["eval_loss"].sel(rule=rule).transpose("lr", "decay", "seed").values


def edges(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """log10 of the decay at which the loss first exceeds `FACTOR` times the loss at the smallest decay: [rates, seeds].

    Interpolated linearly between two decays in both logarithms; NaN where the loss never exceeds it.
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
    """Slope of log edge against log rate for each seed; NaN where an edge is missing."""
    rates = data["lr"].values
    good = rates < GREATEST_RATE
    return [float(np.polyfit(np.log10(rates[good]), edge[good], 1)[0]) for edge in edges(data, rule).T]


@register.check("adamw", source=PAPER)
def check(data: "xarray.Dataset", pair: tuple[str, str] = (SGD_L2, SGD_DECOUPLED)) -> list[Claim]:
    """Decoupled decay equals L2 for gradient descent and differs for Adam; tilt of the basin under AdamW and L2."""
    one, other = (loss(data, rule) for rule in pair)
    apart = np.abs(np.log(one / other)).max(axis=(0, 1))
    strong = data["decay"].values >= 1e-3
    norms = [
        data["param_norm"].isel(step=-1).sel(rule=rule).transpose("decay", "lr", "seed").values
        for rule in (L2, DECOUPLED)
    ]
    differ = np.median(np.abs(np.log(norms[0] / norms[1]))[strong], axis=(0, 1))
    coupled, decoupled = tilts(data, L2), tilts(data, DECOUPLED)
    how = f"slope of log(decay at {FACTOR} times the least-decay test loss) against log lr, for lr below 0.05"
    return [
        Claim(
            name="gradient descent: L2 against decay",
            statement="For gradient descent, decoupled decay gives the same iterates as an L2 penalty of decay / lr.",
            source=f"{PAPER}, Proposition 1",
            expected=at_most(1e-9),
            measured=apart.tolist(),
            how="largest |log ratio| of the test losses over all rates and decays",
            tolerance="float64 rounding accumulated over 400 updates",
            over_seeds="each",
        ),
        Claim(
            name="Adam: L2 against decay",
            statement="For Adam, decoupled decay and an L2 penalty are different rules.",
            source=f"{PAPER}, Proposition 2",
            expected=at_least(np.log(1.1)),
            measured=differ.tolist(),
            how="median |log ratio| of the final parameter norms, over pairs of rate and decay with decay >= 1e-3",
            tolerance="a difference of 10% is far above rounding",
        ),
        Claim(
            name="paper: AdamW less tilted than L2",
            statement="The basin of good rates and decays is better aligned with the axes for AdamW than for L2.",
            source=f"{PAPER}, on heat maps of residual networks",
            expected=at_most(0),
            measured=(np.abs(decoupled) - np.abs(coupled)).tolist(),
            how=f"|tilt| of AdamW minus |tilt| of Adam + L2; tilt: {how}",
            tolerance="none: only the sign of the difference is tested",
        ),
    ]


@register.figure("adamw", dims=["lr", "decay"], source=PAPER)
def draw(data: "xarray.Dataset") -> "Figure":
    """Median test loss over rate and decay for Adam with L2 and for AdamW, with the decay at which the loss rises."""
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
            f"Median of {seeds} seeds; star: lowest loss",
            f"Points: decay at {FACTOR} times the least-decay loss; line: fit",
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
