"""Adam trains at the edge of stability of the preconditioned Hessian.

Source: Cohen, Ghorbani, Krishnan, Agarwal, Medapati, Badura, Suo, Cardoze, Nado, Dahl & Gilmer (2022), Adaptive
gradient methods at the edge of stability (https://arxiv.org/abs/2207.14484). With a fixed preconditioner P =
diag(sqrt(v_hat) + eps) (1 - b1^t), Adam is heavy ball (with averaged gradients) on P^-1 H. It is stable below

    (2 + 2 b1) / ((1 - b1) lr),    which is 38 / lr at b1 = 0.9.

In full-batch training the largest eigenvalue of P^-1 H, the preconditioned sharpness, settles at this threshold, while
the sharpness keeps changing. Setup: the network and data of `edge_of_stability`, Adam with b2 = 0.99, three rates,
three seeds.

Differs from the paper:

- 1,000 images of digits and a tanh network instead of CIFAR-10 and larger networks;
- b2 = 0.99, because there are fewer steps.

During the first steps v is an average of few gradients, and the preconditioned sharpness may be far above the
threshold; no claim covers these steps.

Takes half a minute on two cores; size fast has one seed, two rates and 1,000 steps.
"""

from typing import TYPE_CHECKING

import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least, between

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SOURCE = "Cohen et al. (2022), Adaptive gradient methods at the edge of stability"


def threshold(lr: np.ndarray, b1: float) -> np.ndarray:
    """Preconditioned sharpness above which Adam with a fixed P is unstable on a quadratic."""
    return (2 + 2 * b1) / ((1 - b1) * lr)


@register.check("adaptive-edge", source=SOURCE)
def check(data: "xarray.Dataset", b1: float = 0.9) -> list[Claim]:
    """The preconditioned sharpness settles at its threshold; the sharpness does not settle at 2 / lr."""
    one = data.isel(rule=0).transpose("lr", "seed", "step")
    rates = one["lr"].values
    half = one.sizes["step"] // 2
    ratios = one["preconditioned_sharpness"].values / threshold(rates, b1)[:, None, None]
    plain = one["sharpness"].values[..., half:].mean(axis=-1) * rates[:, None] / 2
    losses = one["loss"].values
    return [
        *(
            Claim(
                name=f"lr {lr:g}: preconditioned sharpness / threshold",
                statement="The preconditioned sharpness settles at the largest value at which Adam is stable.",
                source=SOURCE,
                expected=between(0.93, 1.05),
                measured=ratios[place, :, half:].mean(axis=-1),
                how="mean over the second half of the steps, for each seed",
                tolerance="the threshold assumes a fixed P, but P changes during the run",
                over_seeds="each",
            )
            for place, lr in enumerate(rates)
        ),
        Claim(
            name="spread over rates of sharpness / (2 / lr)",
            statement="The sharpness does not settle at 2 / lr: its ratio to 2 / lr depends on the rate.",
            source=SOURCE,
            expected=at_least(2.0),
            measured=plain.max(axis=0) / plain.min(axis=0),
            how="largest over smallest of the rates' means over the second half of the steps, for each seed",
            tolerance="a factor of two; the preconditioned sharpness varies by a few per cent",
            over_seeds="each",
            unchecked="" if rates.size > 2 else "needs at least three learning rates",
        ),
        Claim(
            name="first loss / last",
            statement="The loss keeps falling at the edge of stability.",
            source=SOURCE,
            expected=at_least(2.0),
            measured=(losses[..., 0] / losses[..., -1]).ravel(),
            how="at each rate, for each seed",
            tolerance="a factor of two is more than an oscillation of the loss",
            over_seeds="each",
        ),
    ]


@register.figure("adaptive-edge", dims=["step"])
def draw(data: "xarray.Dataset") -> "Figure":
    """Preconditioned sharpness with its threshold (top), sharpness (bottom) against the step, one column per rate."""
    from gdlab.figures.style import COLOURS, GREY, new_figure, style

    one = data.isel(rule=0).transpose("lr", "seed", "step")
    steps, rates = one["step"].values, one["lr"].values
    with style():
        figure = new_figure("double", 3.7)
        panels = figure.subplots(2, rates.size, sharex=True, squeeze=False, height_ratios=[1.25, 1])
        for place, lr in enumerate(rates):
            top, foot = panels[:, place]
            limit = float(threshold(lr, 0.9))
            for seed in range(one.sizes["seed"]):
                look = {"color": COLOURS[seed], "linewidth": 0.9, "label": f"seed {one['seed'].values[seed]}"}
                top.plot(steps, one["preconditioned_sharpness"].values[place, seed], **look)
                foot.plot(steps, one["sharpness"].values[place, seed], **look)
            top.axhline(limit, color=GREY, linestyle="--", linewidth=1)
            top.text(steps[-1], 1.13 * limit, f"38/lr = {limit:,.0f}", ha="right", va="bottom", color=GREY, fontsize=7)
            top.set(title=f"lr {lr:g}", ylim=(0, 1.6 * limit))
            top.ticklabel_format(axis="y", style="sci", scilimits=(0, 4))
            foot.set(xlabel="step", ylim=(0, None))
        panels[0, 0].set_ylabel("preconditioned sharpness")
        panels[1, 0].set_ylabel("sharpness")
        if one.sizes["seed"] > 1:
            panels[1, -1].legend(loc="best", labelspacing=0.2)
    return figure
