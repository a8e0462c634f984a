"""The convergence rate of heavy ball over (lr, beta) on a quadratic is the spectral radius of its companion matrix.

Source: Polyak (1964); Goh (2017), Why Momentum Really Works. On f = 1/2 sum_i l_i x_i^2 each coordinate follows

    x_(t+1) = (1 + beta - lr l) x_t - beta x_(t-1),

so the size of the iterate is proportional to rho^t, where rho is the largest modulus of the roots of z^2 - (1 + beta -
lr l) z + beta over all l. With k = l_n / l_1, heavy ball is stable for lr < 2 (1 + beta) / l_n, and its best rate is
(sqrt k - 1) / (sqrt k + 1), at

    lr = (2 / (sqrt l_1 + sqrt l_n))^2,    beta = ((sqrt l_n - sqrt l_1) / (sqrt l_n + sqrt l_1))^2.

At a given smaller lr the slowest mode determines the best beta = (1 - sqrt(lr l_1))^2, at which it is critically
damped.

The rate is measured as the slope of log |(x, x_next - x)| over the second half of the finite records. Float64 is
needed: in the best cells the size falls to 1e-174.

Differs from Goh: the quadratic is axis-aligned; heavy ball is invariant to rotations.
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
    """log |(x, x_next - x)|, scaled before squaring to avoid overflow and underflow: []."""
    both = jnp.concatenate([step.params, step.updates])
    largest = jnp.max(jnp.abs(both))
    return jnp.log(largest) + 0.5 * jnp.log(jnp.sum((both / largest) ** 2))


def radius(lr: np.ndarray, beta: np.ndarray, averaged: bool = False) -> np.ndarray:
    """rho for arrays lr and beta of one shape. With `averaged`, v averages gradients: lr (1 - beta) replaces lr."""
    lr = np.where(averaged, lr * (1 - beta), lr)
    trace = 1 + beta[..., None] - lr[..., None] * SPECTRUM
    root = np.sqrt(trace**2 - 4 * beta[..., None] + 0j)
    return np.maximum(abs(trace + root), abs(trace - root)).max(-1) / 2


def log_rates(data: "xarray.Dataset") -> np.ndarray:
    """Slope of log-size against the step over the second half of each run's finite records: [lr, beta]."""
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
    """Compare rates, stability, the optimum and critical damping on the grid with theory."""
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
    grid = "" if whole else "at this size the grid is too coarse and the runs are too short"
    return [
        Claim(
            name="99th percentile of |log rate - log rho|",
            statement="The convergence rate is the spectral radius of the companion matrix.",
            source=SOURCE,
            expected=at_most(1e-3),
            measured=[error],
            how="over all cells, including diverging ones",
            tolerance="at a double root the size is t rho^t: over the second half the slope changes by ln 2 / 1000",
            unchecked=grid,
        ),
        Claim(
            name="cells rightly stable or unstable",
            statement="Heavy ball is stable for lr < 2 (1 + beta) / l_n.",
            source=SOURCE,
            expected=at_least(1),
            measured=[float(((measured < 0) == stable).mean())],
            how="share of cells in which the size shrinks if and only if the bound holds",
            tolerance="none: no cell lies on the boundary",
        ),
        Claim(
            name="best rate",
            statement="The best convergence rate is (sqrt k - 1) / (sqrt k + 1).",
            source=SOURCE,
            expected=near((high - low) / (high + low), abs=round(gap / np.sqrt(best_beta), 4), name="(√k-1)/(√k+1)"),
            measured=[float(np.exp(measured[at]))],
            how="smallest rate on the grid",
            tolerance="two cells in beta; the rate there is sqrt(beta)",
        ),
        Claim(
            name="lr of the best rate",
            statement="The best rate is reached at lr = (2 / (sqrt l_1 + sqrt l_n))^2.",
            source=SOURCE,
            expected=near((2 / (high + low)) ** 2, abs=round(wedge + cell, 3)),
            measured=[float(lrs[at[0]])],
            how="cell with the smallest rate",
            tolerance="one cell, plus the range of lr with equal rates at one beta cell above the best",
            unchecked=grid,
        ),
        Claim(
            name="beta of the best rate",
            statement="The best rate is reached at beta = ((sqrt l_n - sqrt l_1) / (sqrt l_n + sqrt l_1))^2.",
            source=SOURCE,
            expected=near(best_beta, abs=round(2 * gap, 4)),
            measured=[float(betas[at[1]])],
            how="cell with the smallest rate",
            tolerance="two cells",
        ),
        Claim(
            name=f"best beta at lr {lrs[column]:.3g}",
            statement="At a given lr the best beta critically damps the slowest mode.",
            source=SOURCE,
            expected=near(critical, abs=round(2 * gap, 4), name="(1-√(lr l₁))²"),
            measured=[float(betas[measured[column].argmin()])],
            how="beta of the smallest rate in the grid column at this lr",
            tolerance="two cells",
        ),
    ]


@register.figure("momentum-map", dims=["lr", "beta", "step"])
def draw(data: "xarray.Dataset") -> "Figure":
    """Measured rate over (lr, beta) with lines from theory (left); rate and radius against beta at three lr (right)."""
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
