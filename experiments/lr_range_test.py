"""One run with a rising rate tells where fixed rates fail; how much a rule minds its rate is a number.

After Smith (2017), Cyclical learning rates for training neural networks, Section 3.3, the range test; and Wortsman et
al. (2023), Small-scale proxies for large-scale transformer training instabilities: sensitivity to the rate, the mean
over rates of the final loss above that of the best rate, each loss capped at the one at the start; and that warm-up
lowers it. Digits, a network of one hidden layer. Differs from Smith: the rate rises geometrically (his along a line),
and the training loss is read, not the test accuracy; from Wortsman et al.: a small classifier, not transformers.

Both marks are one: a loss above that at the start. (A first try marked the rising run where its loss passed 4 times its
least, which Adam does half a decade to a decade before fixed rates fail, and that claim failed.) For gradient descent
they agree; for Adam, which turns up gently, only in part of the seeds, and warm-up's effect on sensitivity is not
settled by five seeds.

Half a minute on two cores.
"""

from typing import TYPE_CHECKING

import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least, at_most
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import inner_rule
from gdlab.schedules import range_test, warmup
from gdlab.types import Rule

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SMITH = "Smith (2017), Cyclical learning rates for training neural networks, Section 3.3"
WORTSMAN = "Wortsman et al. (2023), Small-scale proxies for large-scale transformer training instabilities"
PAIRS = {"gd": "gd rising", "adam": "adam rising"}
LOW, HIGH, STEPS = 1e-4, 10.0, 600


@register.rule("rising-rate", source=SMITH)
def rising_rate(of: str = "gd", low: Hyperparameter = LOW, high: Hyperparameter = HIGH, steps: int = STEPS) -> Rule:
    """Another rule with the rate low (high / low)^(t / steps)."""
    return inner_rule(of, range_test(low, high, steps), {})


@register.rule("warmed-adam", source=WORTSMAN)
def warmed_adam(lr: Hyperparameter = 1e-3, warm: int = 100) -> Rule:
    """Adam whose rate rises along a line for `warm` steps."""
    return inner_rule("adam", warmup(warm, lr), {})


def turning_rates(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """The rate at which the loss of a rising run, its median of 9 steps, has turned and passes that at the start:
    [seeds]; NaN where it never does."""
    losses = data["loss"].sel(rule=rule).isel(lr=0).transpose("seed", "step").values
    losses = np.where(np.isfinite(losses), losses, np.inf)
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(losses, 9, axis=1), axis=2)
    past = np.arange(smooth.shape[1]) > smooth.argmin(axis=1)[:, None]
    above = past & (smooth > losses[:, :1])
    at = np.where(above.any(axis=1), above.argmax(axis=1) + 4.0, np.nan)
    return LOW * (HIGH / LOW) ** (at / STEPS)


def starting_loss(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """The loss at the start: [seeds]."""
    return data["loss"].sel(rule=rule).isel(lr=0, step=0).values


def failing_rates(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """Where fixed rates begin to fail: midway, in the logarithm, to the first rate past the best whose final loss is
    above the loss at the start: [seeds]."""
    rates, final = data["lr"].values, data["final_loss"].sel(rule=rule).transpose("seed", "lr").values
    final = np.where(np.isfinite(final), final, np.inf)
    found = []
    for line, start in zip(final, starting_loss(data, rule), strict=True):
        bad = np.flatnonzero((line > start) & (np.arange(line.size) > line.argmin()))
        found.append(np.sqrt(rates[bad[0]] * rates[bad[0] - 1]) if bad.size else np.nan)
    return np.array(found)


def sensitivity(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """Mean over rates of min(final loss, loss at the start) less its least: [seeds]."""
    final = data["final_loss"].sel(rule=rule).transpose("seed", "lr").values
    capped = np.fmin(final, starting_loss(data, rule)[:, None])
    return capped.mean(axis=1) - capped.min(axis=1)


@register.check("lr-range-test", source=SMITH)
def check(data: "xarray.Dataset", scale: float = 1.0) -> list[Claim]:
    """The range test finds the rate at which fixed rates fail (`scale` times its own); warm-up widens what works."""
    claims = [
        Claim(
            name=f"{rule}: decades from range test to sweep",
            statement="The rate at which a rising run has lost what it gained is that from which on fixed rates fail.",
            source=SMITH,
            expected=at_most(0.5),
            measured=np.abs(np.log10(scale * turning_rates(data, rising) / failing_rates(data, rule))).tolist(),
            how="rate at which the loss is back at its start, over the rate from which on training ends above it",
            tolerance="a factor of 3: the rising run has 120 steps for a decade, and late to tell",
            over_seeds="each",
        )
        for rule, rising in PAIRS.items()
    ]
    return [
        *claims,
        Claim(
            name="Adam: sensitivity less that with warm-up",
            statement="Warm-up lowers the sensitivity to the learning rate.",
            source=WORTSMAN,
            expected=at_least(0),
            measured=(sensitivity(data, "adam") - sensitivity(data, "adam warm-up")).tolist(),
            how="mean over rates of the capped final loss above the best, paired by seed",
            tolerance="none: which is the greater",
        ),
    ]


@register.figure("lr-range-test", dims=["lr", "step"], source=SMITH)
def draw(data: "xarray.Dataset") -> "Figure":
    """The loss of a rising run against its rate, over the final loss of fixed rates; a panel for each rule."""
    from gdlab.figures.style import COLOURS, DASHES, GREY, new_figure, style
    from gdlab.figures.wording import caption

    rates, rising_rates = data["lr"].values, LOW * (HIGH / LOW) ** (data["step"].values / STEPS)
    with style():
        figure = new_figure("double", 2.7)
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, (rule, rising), title in zip(panels, PAIRS.items(), ("gradient descent", "Adam"), strict=True):
            losses = data["loss"].sel(rule=rising).isel(lr=0).median("seed", skipna=False).values
            axes.plot(rising_rates, losses, color=COLOURS[0], linewidth=0.9, label="one run, rising rate: loss")
            for place, label in ((rule, "fixed rates: final loss"), (f"{rule} warm-up", "the same, with warm-up")):
                if place in data["rule"].values:
                    final = data["final_loss"].sel(rule=place).median("seed", skipna=False).values
                    look = {"color": COLOURS[1 if place == rule else 2], "marker": "o" if place == rule else "^"}
                    axes.plot(rates, final, linestyle=DASHES[1], markersize=3.5, label=label, **look)
            turn = np.median(turning_rates(data, rising))
            axes.axvline(turn, color=GREY, linestyle=":", linewidth=1, label="rising run: back at the start")
            axes.set(xscale="log", yscale="log", title=title, xlabel="learning rate", ylim=(1e-5, 50))
            axes.set(xlim=(rates[0], rates[-1]), xticks=10.0 ** np.arange(-4, 1))
        panels[0].set_ylabel("training loss")
        panels[0].legend(*panels[1].get_legend_handles_labels(), loc="lower left")
        caption(figure, [f"Medians of {data.sizes['seed']} seeds; a line ends where half of them diverged"], "double")
    return figure
