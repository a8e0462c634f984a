"""A run with a rising learning rate predicts at which fixed rates training fails; sensitivity to the learning rate.

Sources: Smith (2017), Cyclical learning rates for training neural networks, Section 3.3, the range test. Wortsman et
al. (2023), Small-scale proxies for large-scale transformer training instabilities: the sensitivity to the rate is the
mean over rates of the final loss minus that of the best rate, each loss capped at the initial loss; warm-up lowers it.
Setup: digits, a network of one hidden layer.

Differs from the papers:

- from Smith: the rate rises geometrically instead of linearly, and the training loss is read instead of test accuracy;
- from Wortsman et al.: a small classifier instead of transformers.

Both the run with a rising rate and the fixed rates are marked where the loss exceeds the initial loss. (An earlier
version marked the run where its loss exceeded 4 times its minimum. Adam does so half a decade to a decade before fixed
rates fail, and that claim failed.) For gradient descent the two marks agree. For Adam, whose loss rises slowly, they
agree only for some of the seeds. With five seeds it remains uncertain whether warm-up lowers the sensitivity.

Takes half a minute on two cores.
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
    """Another rule with the learning rate low (high / low)^(t / steps)."""
    return inner_rule(of, range_test(low, high, steps), {})


@register.rule("warmed-adam", source=WORTSMAN)
def warmed_adam(lr: Hyperparameter = 1e-3, warm: int = 100) -> Rule:
    """Adam with linear warm-up over `warm` steps."""
    return inner_rule("adam", warmup(warm, lr), {})


def turning_rates(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """For the run with a rising rate: the rate at which its loss returns to the initial loss: [seeds]; NaN if never.

    Only steps after the minimum of the loss count. The loss is smoothed by a running median over 9 steps.
    """
    losses = data["loss"].sel(rule=rule).isel(lr=0).transpose("seed", "step").values
    losses = np.where(np.isfinite(losses), losses, np.inf)
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(losses, 9, axis=1), axis=2)
    past = np.arange(smooth.shape[1]) > smooth.argmin(axis=1)[:, None]
    above = past & (smooth > losses[:, :1])
    at = np.where(above.any(axis=1), above.argmax(axis=1) + 4.0, np.nan)
    return LOW * (HIGH / LOW) ** (at / STEPS)


def starting_loss(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """Initial loss: [seeds]."""
    return data["loss"].sel(rule=rule).isel(lr=0, step=0).values


def failing_rates(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """Smallest rate at which training with a fixed rate fails: [seeds]; NaN if none fails.

    A rate above the best one fails if its final loss exceeds the initial loss. The result is the geometric mean of the
    first such rate and the rate before it.
    """
    rates, final = data["lr"].values, data["final_loss"].sel(rule=rule).transpose("seed", "lr").values
    final = np.where(np.isfinite(final), final, np.inf)
    found = []
    for line, start in zip(final, starting_loss(data, rule), strict=True):
        bad = np.flatnonzero((line > start) & (np.arange(line.size) > line.argmin()))
        found.append(np.sqrt(rates[bad[0]] * rates[bad[0] - 1]) if bad.size else np.nan)
    return np.array(found)


def sensitivity(data: "xarray.Dataset", rule: str) -> np.ndarray:
    """Mean over rates of min(final loss, initial loss), minus the smallest of these losses: [seeds]."""
    final = data["final_loss"].sel(rule=rule).transpose("seed", "lr").values
    capped = np.fmin(final, starting_loss(data, rule)[:, None])
    return capped.mean(axis=1) - capped.min(axis=1)


@register.check("lr-range-test", source=SMITH)
def check(data: "xarray.Dataset", scale: float = 1.0) -> list[Claim]:
    """The range test finds the first failing rate (`scale` multiplies what it finds); warm-up lowers sensitivity."""
    claims = [
        Claim(
            name=f"{rule}: decades from range test to sweep",
            statement="A run with a rising rate returns to its initial loss at the rate above which fixed rates fail.",
            source=SMITH,
            expected=at_most(0.5),
            measured=np.abs(np.log10(scale * turning_rates(data, rising) / failing_rates(data, rule))).tolist(),
            how="|log10(rate at which the loss is back at its initial value / first failing fixed rate)|",
            tolerance="a factor of 3: the rate rises by a decade in only 120 steps, so the loss reacts late",
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
            how="mean over rates of the capped final loss minus the best, without minus with warm-up, paired by seed",
            tolerance="none: only the sign of the difference is tested",
        ),
    ]


@register.figure("lr-range-test", dims=["lr", "step"], source=SMITH)
def draw(data: "xarray.Dataset") -> "Figure":
    """Loss of a run with a rising rate against the rate, with the final losses of fixed rates; one panel per rule."""
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
            axes.axvline(turn, color=GREY, linestyle=":", linewidth=1, label="rising rate: back at initial loss")
            axes.set(xscale="log", yscale="log", title=title, xlabel="learning rate", ylim=(1e-5, 50))
            axes.set(xlim=(rates[0], rates[-1]), xticks=10.0 ** np.arange(-4, 1))
        panels[0].set_ylabel("training loss")
        panels[0].legend(*panels[1].get_legend_handles_labels(), loc="lower left")
        caption(figure, [f"Medians of {data.sizes['seed']} seeds; a line ends where half of them diverged"], "double")
    return figure
