"""The rate of the heavy ball over (lr, beta) on a quadratic: the spectral radius of its companion matrix, cell by cell.

After Polyak (1964) and Goh (2017), Why Momentum Really Works. On f = 1/2 sum_i l_i x_i^2 each coordinate follows

    x_(t+1) = (1 + beta - lr l) x_t - beta x_(t-1),

so that the run goes as rho^t, rho the largest modulus of the roots of z^2 - (1 + beta - lr l) z + beta over all l. With
k = l_n / l_1 it is stable for lr < 2 (1 + beta) / l_n, and the best that it can do is (sqrt k - 1) / (sqrt k + 1), at

    lr = (2 / (sqrt l_1 + sqrt l_n))^2,    beta = ((sqrt l_n - sqrt l_1) / (sqrt l_n + sqrt l_1))^2.

At a given lr below that the slowest mode decides: beta = (1 - sqrt(lr l_1))^2, where it is critically damped.

Measured as the slope of log |(x, x_next - x)| over the second half of the finite records. Differs from Goh: the axes of
the quadratic are those of the space, which the heavy ball can't tell. Float64: the best cells reach 1e-174.
"""

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least, at_most, near
from gdlab.types import Array, Step

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SPECTRUM = np.array([0.01, 0.03, 0.1, 0.3, 1.0])
SOURCE = "Polyak (1964); Goh (2017), Why Momentum Really Works"


@register.probe("log-size", source=SOURCE, cost="none")
def log_size(step: Step) -> Array:
    """log |(x, x_next - x)|, scaled first, so that no square leaves the range of numbers. []"""
    both = jnp.concatenate([step.params, step.updates])
    largest = jnp.max(jnp.abs(both))
    return jnp.log(largest) + 0.5 * jnp.log(jnp.sum((both / largest) ** 2))


def radius(lr: np.ndarray, beta: np.ndarray, averaged: bool = False) -> np.ndarray:
    """rho for arrays of one shape; `averaged`: where v is an average of gradients, with lr (1 - beta) for lr."""
    lr = np.where(averaged, lr * (1 - beta), lr)
    trace = 1 + beta[..., None] - lr[..., None] * SPECTRUM
    root = np.sqrt(trace**2 - 4 * beta[..., None] + 0j)
    return np.maximum(abs(trace + root), abs(trace - root)).max(-1) / 2


def log_rates(data: "xarray.Dataset") -> np.ndarray:
    """Slopes [lr, beta] of log-size against the step over the second half of the finite records of each run."""
    one = data["log-size"].isel(rule=0, seed=0, missing_dims="ignore").transpose("lr", "beta", "step").values
    steps = data["step"].values.astype(float)
    finite = np.isfinite(one)
    weight = finite & (np.arange(steps.size) >= finite.sum(-1, keepdims=True) // 2)
    count = weight.sum(-1)
    y = np.where(weight, one, 0)
    centred = (steps - (weight * steps).sum(-1, keepdims=True) / count[..., None]) * weight
    return (centred * y).sum(-1) / (centred**2).sum(-1)


@register.check("momentum-map", source=SOURCE)
def check(data: "xarray.Dataset", averaged: bool = False) -> list[Claim]:
    """Rates, stability, the optimum and critical damping on the grid."""
    lrs, betas, measured = data["lr"].values, data["beta"].values, log_rates(data)
    lr, beta = np.meshgrid(lrs, betas, indexing="ij")
    theory = np.log(radius(lr, beta, averaged))
    stable = lr * SPECTRUM.max() < 2 * (1 + beta) / np.where(averaged, 1 - beta, 1)
    gap, cell = betas[1] - betas[0], lrs[1] - lrs[0]
    low, high = np.sqrt(SPECTRUM.min()), np.sqrt(SPECTRUM.max())
    best_beta = ((high - low) / (high + low)) ** 2
    at = np.unravel_index(np.argmin(measured), measured.shape)
    wedge = gap * (1 - np.sqrt(best_beta)) / np.sqrt(best_beta) / SPECTRUM.min()
    column = int(abs(lrs - 1).argmin())
    critical = (1 - np.sqrt(lrs[column] * SPECTRUM.min())) ** 2
    error, whole = float(np.quantile(abs(measured - theory), 0.99)), int(data["step"].max()) > 1500
    grid = "" if whole else "the grid and the runs are too coarse at this size"
    return [
        Claim(
            name="99th percentile of |log rate - log rho|",
            statement="The rate is the spectral radius of the companion matrix.",
            source=SOURCE,
            expected=at_most(1e-3),
            measured=[error],
            how="over all cells, diverging ones too",
            tolerance="at a double root the size goes as t rho^t: the slope is off by ln 2 / 1000 over the second half",
            unchecked=grid,
        ),
        Claim(
            name="cells rightly stable or unstable",
            statement="Stable for lr < 2 (1 + beta) / l_n.",
            source=SOURCE,
            expected=at_least(1),
            measured=[float(((measured < 0) == stable).mean())],
            how="share of cells in which the size shrinks just where the bound says so",
            tolerance="none: no cell lies on the boundary",
        ),
        Claim(
            name="best rate",
            statement="The best rate is (sqrt k - 1) / (sqrt k + 1).",
            source=SOURCE,
            expected=near((high - low) / (high + low), abs=round(gap / np.sqrt(best_beta), 4), name="(√k-1)/(√k+1)"),
            measured=[float(np.exp(measured[at]))],
            how="the least of the grid",
            tolerance="two cells in beta, along which the rate is sqrt(beta)",
        ),
        Claim(
            name="lr of the best rate",
            statement="It is had at lr = (2 / (sqrt l_1 + sqrt l_n))^2.",
            source=SOURCE,
            expected=near((2 / (high + low)) ** 2, abs=round(wedge + cell, 3)),
            measured=[float(lrs[at[0]])],
            how="the cell of the least rate",
            tolerance="a cell; and one cell of beta above its best, all lr between the double roots have one rate",
            unchecked=grid,
        ),
        Claim(
            name="beta of the best rate",
            statement="It is had at beta = ((sqrt l_n - sqrt l_1) / (sqrt l_n + sqrt l_1))^2.",
            source=SOURCE,
            expected=near(best_beta, abs=round(2 * gap, 4)),
            measured=[float(betas[at[1]])],
            how="the cell of the least rate",
            tolerance="two cells",
        ),
        Claim(
            name=f"best beta at lr {lrs[column]:.3g}",
            statement="The best beta damps the slowest mode critically.",
            source=SOURCE,
            expected=near(critical, abs=round(2 * gap, 4), name="(1-√(lr l₁))²"),
            measured=[float(betas[measured[column].argmin()])],
            how="the least of the column",
            tolerance="two cells",
        ),
    ]


@register.figure("momentum-map", dims=["lr", "beta", "step"])
def draw(data: "xarray.Dataset") -> "Figure":
    """The measured rate over (lr, beta) with the lines of the theory; and along beta at a few lr, beside the radius."""
    from gdlab.figures.style import COLOURS, DASHES, MARKERS, new_figure, style

    lrs, betas, rates = data["lr"].values, data["beta"].values, np.exp(log_rates(data))
    low, high = np.sqrt(SPECTRUM.min()), np.sqrt(SPECTRUM.max())
    with style():
        figure = new_figure("double", 2.9)
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        left.grid(False)
        shown = np.ma.masked_greater(rates.T, 1)
        mesh = left.pcolormesh(lrs, betas, shown, cmap="viridis_r", vmin=0.8, vmax=1, rasterized=True)
        figure.colorbar(mesh, ax=left, label="measured rate per step")
        line = np.linspace(0, 4, 400)
        left.plot(line, line / 2 - 1, color=COLOURS[1])
        left.text(2.42, 0.08, "lr = 2 (1 + β) / l₅", fontsize=7, color=COLOURS[1])
        left.plot(line, (1 - np.sqrt(line * SPECTRUM[0])) ** 2, color="white", linestyle=DASHES[1])
        left.text(1.1, 0.84, "slowest mode critically damped", color="white", fontsize=7)
        best = ((2 / (low + high)) ** 2, ((high - low) / (high + low)) ** 2)
        left.plot(*best, linestyle="none", marker="*", markersize=9, color=COLOURS[1], markeredgecolor="white")
        left.text(3.9, 0.2, "diverges", fontsize=8, ha="right")
        left.set(xlim=(0, 4), ylim=(0, 1), xlabel="learning rate", ylabel="momentum β", title="heavy ball, measured")
        for place, wanted in enumerate((0.5, 1.5, best[0])):
            at = int(abs(lrs - wanted).argmin())
            fine = np.linspace(0, 0.999, 600)
            theory = radius(np.full(600, lrs[at]), fine)
            right.plot(fine, theory, color=COLOURS[place], linewidth=1)
            few = slice(None, None, max(1, betas.size // 28))
            look = {"linestyle": "none", "marker": MARKERS[place], "markersize": 3.2}
            right.plot(betas[few], rates[at, few], color=COLOURS[place], label=f"lr = {lrs[at]:.2f}", **look)
        right.axhline((high - low) / (high + low), color="#555555", linewidth=0.8, linestyle=":")
        right.text(0.02, 0.807, "(√k − 1) / (√k + 1)", fontsize=7, color="#555555")
        right.set(xlim=(0, 1), ylim=(0.8, 1.02), xlabel="momentum β", ylabel="rate per step", title="lines: radius ρ")
        right.legend(loc="lower left", bbox_to_anchor=(0, 0.1))
    return figure
