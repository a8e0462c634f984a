"""Escape from a saddle: near the stable direction gradient descent takes arbitrarily many steps, perturbed descent few.

Sources: Du, Jin, Lee, Jordan, Póczos & Singh (2017), Gradient Descent Can Take Exponential Time to Escape Saddle
Points, and Jin, Ge, Netrapalli, Kakade & Jordan (2017), How to Escape Saddle Points Efficiently, Algorithm 2. On the
saddle

    f(x, y) = (x^2 - y^2) / 2,    from (1, y0),

gradient descent multiplies y by 1 + lr in each step. It first has |y| >= 1 after ceil(ln(1/|y0|) / ln(1 + lr)) steps,
and never if y0 = 0. Perturbed descent waits until |x| <= threshold, then moves once to a point drawn from the disc of
radius r around the current one. At y0 = 0 this gives E ln|y| = ln r - 1/2 - ln 2, so its mean time to |y| = 1 is also
known.

Differs from Du et al.: one saddle instead of their chain of saddles. In the chain, gradient descent enters each saddle
closer to its stable direction than the previous one, so each saddle takes a multiple of the time of the previous one.
The right panel shows how the time grows as the start approaches the stable direction.

Runs in seconds.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_most, near
from gdlab.problems.saddles_2d import saddle
from gdlab.types import Problem

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

CASES = (1e-2, 1e-8)  # starts with a claim; the figure shows more
SOURCE = "Du et al. (2017), Gradient Descent Can Take Exponential Time to Escape Saddle Points"
PERTURBED = "Jin et al. (2017), How to Escape Saddle Points Efficiently, Algorithm 2"


@register.problem("saddle-escape", source=SOURCE)
def saddle_escape(y0: float = 0.01) -> Problem:
    """The saddle (x^2 - y^2) / 2 from (1, y0). Params: [2]."""
    return saddle(start=(1.0, y0))


def escape_steps(data: "xarray.Dataset") -> "xarray.DataArray":
    """First step with |y| >= 1; NaN for runs without one. Dims: those of the runs."""
    position = data["position"]
    (parts,) = set(position.dims) - set(data["loss"].dims)
    out = abs(position.isel({parts: 1})) >= 1  # NaN after the end of a run compares as False
    return data["step"].isel(step=out.argmax("step")).drop_vars("step").where(out.any("step"))


def steps_of_descent(y0: float, lr: float, flow: bool = False) -> float:
    """Steps of gradient descent until |y| >= 1. With `flow`, y grows like e^(lr t), as in the gradient flow."""
    return math.ceil(-math.log(y0) / (lr if flow else math.log1p(lr)))


def steps_of_perturbed(lr: float, threshold: float, radius: float) -> float:
    """Mean number of steps of perturbed descent from y0 = 0 until |y| >= 1.

    The sum of the steps until |x| <= threshold, the mean time from a random point of the disc, and 1/2, because the
    number of steps is rounded up.
    """
    approach = math.ceil(math.log(threshold) / math.log1p(-lr))
    return approach + (-math.log(radius) + 0.5 + math.log(2)) / math.log1p(lr) + 0.5


@register.check("saddle-escape", source=SOURCE)
def check(data: "xarray.Dataset", flow: bool = False, threshold: float = 1e-3, radius: float = 1e-3) -> list[Claim]:
    """Steps to |y| = 1: exact for gradient descent, never from y0 = 0, known mean for perturbed descent."""
    escaped = escape_steps(data)
    claims = []
    for lr in data["lr"].values:
        for y0 in CASES:
            descent = escaped.sel({"rule": "gradient descent", "lr": lr, "problem.y0": y0}).values
            claims.append(
                Claim(
                    name=f"descent, lr {lr:g}, y0 {y0:g}: steps to |y| = 1",
                    statement="The number of steps to leave a saddle is proportional to the logarithm of 1 / |y0|.",
                    source=SOURCE,
                    expected=near(steps_of_descent(y0, float(lr), flow), abs=0.1, name="ln(1/y0) / ln(1+lr), up"),
                    measured=descent[:1],  # deterministic: all seeds are equal
                    how="the first step at which |y| >= 1",
                    tolerance="none: the update is linear and float64 rounding does not change the step",
                )
            )
    still = data["position"].sel({"rule": "gradient descent", "problem.y0": 0.0})
    (parts,) = set(still.dims) - set(data["loss"].dims)
    claims.append(
        Claim(
            name="descent, y0 0: largest |y| of all steps",
            statement="Gradient descent that starts on the stable direction never leaves the saddle.",
            source=SOURCE,
            expected=at_most(0),
            measured=[float(abs(still.isel({parts: 1})).max())],
            how=f"over {data.sizes['step']} steps at each rate",
            tolerance="none: 0 stays 0",
        )
    )
    for lr in data["lr"].values:
        claims.append(
            Claim(
                name=f"perturbed, lr {lr:g}, y0 0: steps to |y| = 1",
                statement="One perturbation at a point with a small gradient is enough to leave a saddle.",
                source=PERTURBED,
                expected=near(steps_of_perturbed(float(lr), threshold, radius), rel=0.1, name="mean in closed form"),
                measured=escaped.sel({"rule": "perturbed", "lr": lr, "problem.y0": 0.0}).values,
                how="the first step at which |y| >= 1, for each seed",
                tolerance="ln|y| in the disc has a standard deviation of 1.04: 7% of the mean time, less over 16 seeds",
            )
        )
    return claims


@register.figure("saddle-escape", dims=["step", "seed"])
def draw(data: "xarray.Dataset") -> "Figure":
    """Loss against steps at the largest rate (left); steps to |y| = 1 against |y0|, with the closed form (right)."""
    from gdlab.figures.style import COLOURS, DASHES, GREY, MARKERS, new_figure, style

    escaped, fast = escape_steps(data), float(data["lr"].max())
    starts = np.array([y0 for y0 in data["problem.y0"].values if y0 > 0])
    with style():
        figure = new_figure("double", 2.6)
        left, right = figure.subplots(1, 2)
        runs = data["loss"].sel(lr=fast)
        noisy = runs.sel({"rule": "perturbed", "problem.y0": 0.0}).transpose("step", "seed").values
        left.plot(data["step"], noisy, color=COLOURS[1], linewidth=0.5, alpha=0.6)
        for place, y0 in enumerate([*CASES, 0.0]):
            one = runs.sel({"rule": "gradient descent", "problem.y0": y0}).isel(seed=0)
            left.plot(data["step"], one, color=COLOURS[0], linestyle=DASHES[place])
        left.set(xlim=(0, 300), ylim=(-2.1, 0.6), xlabel="step", ylabel="f = (x² − y²) / 2")
        left.set_title(f"leaving the saddle, lr = {fast:g}")
        small = {"fontsize": 7}
        left.text(60, -1.85, "descent\nfrom y0 = 0.01", color=COLOURS[0], **small)
        left.text(136, -0.9, f"perturbed,\n{noisy.shape[1]} seeds\nfrom y0 = 0", color=COLOURS[1], ha="right", **small)
        left.text(208, -1.45, "descent\nfrom y0 = 1e-8", color=COLOURS[0], **small)
        left.text(190, 0.08, "descent from y0 = 0", color=COLOURS[0], **small)
        line = np.geomspace(starts.min() / 10, 1, 2)
        for place, lr in enumerate(data["lr"].values):
            descent = escaped.sel({"rule": "gradient descent", "lr": lr, "problem.y0": starts}).isel(seed=0)
            perturbed = escaped.sel({"rule": "perturbed", "lr": lr, "problem.y0": starts})
            right.plot(line, -np.log(line) / np.log1p(lr), color=GREY, linewidth=0.9, linestyle=":", zorder=1)
            look = {"linestyle": "none", "marker": MARKERS[place], "markersize": 4.5}
            hollow = look | {"markersize": 7, "fillstyle": "none"}
            right.plot(starts, descent, color=COLOURS[0], label=f"descent, lr = {lr:g}", **hollow)
            middle, spread = perturbed.mean("seed"), perturbed.std("seed")
            right.errorbar(starts, middle, spread, color=COLOURS[1], label=f"perturbed, lr = {lr:g}", **look)
        right.plot([], [], color=GREY, linewidth=0.9, linestyle=":", label="ln(1/|y0|) / ln(1+lr)")
        right.set(xscale="log", xlabel="start |y0|", ylabel="steps to |y| = 1", title="time to leave")
        right.invert_xaxis()
        right.legend(loc="upper left", fontsize=7)
        right.set_xticks([10.0**-k for k in range(0, 17, 4)])
        right.set_ylim(0, 4300)
    return figure
