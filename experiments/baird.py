"""Baird's counterexample: semi-gradient TD(0) with linear features diverges though the exact values are representable.

Source: Baird (1995), Residual Algorithms, in the form of Sutton & Barto (2018), Reinforcement Learning, 2nd ed.,
Section 11.2 and Figure 11.2 (right). Seven states, eight weights; every reward is 0, so v = 0 is exact and w = 0
represents it. The target policy always goes to the seventh state. Expected (synchronous) semi-gradient updates with
equal weights for all states:

    w <- w - lr mean_s (v(s) - gamma v(7)) x(s),    x(s) = 2 e_s + e_8 for s < 7, x(7) = e_7 + 2 e_8,    gamma = 0.99.

The update is linear, w <- (I - lr A) w with A = X' (X - gamma 1 x(7)') / 7. The slope of log |w| therefore converges to
the logarithm of the largest modulus of the eigenvalues of I - lr A. For comparison, the full gradient of the mean
squared Bellman error (residual gradient, Baird's remedy) decreases the error.

Differs from the book: more sweeps.

Runs in seconds.
"""

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_most, near
from gdlab.types import Array, Problem

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

FEATURES = np.eye(7, 8) * 2
FEATURES[:, 7] = 1
FEATURES[6] = [0, 0, 0, 0, 0, 0, 1, 2]
START = np.array([1, 1, 1, 1, 1, 1, 10, 1])
SOURCE = "Sutton & Barto (2018), Reinforcement Learning, Section 11.2, Figure 11.2"


@register.problem("baird", source=SOURCE)
def baird(gamma: float = 0.99, residual: bool = False) -> Problem:
    """Half the mean over states of (v(s) - gamma v(7))^2, v = X w; the semi-gradient treats gamma v(7) as a constant.

    With `residual` the rule receives the true gradient instead. Params: [8].
    """

    def errors(w: Array) -> Array:
        values = jnp.asarray(FEATURES, w.dtype) @ w
        return values - gamma * values[6]

    def loss(w: Array, batch: None) -> Array:
        return 0.5 * jnp.mean(errors(w) ** 2)

    def semi_gradient(w: Array, batch: None) -> tuple[Array, Array]:
        return loss(w, batch), errors(w) @ jnp.asarray(FEATURES, w.dtype) / 7

    return Problem(
        init=lambda key: jnp.asarray(START, float),
        loss=loss,
        gradient=None if residual else semi_gradient,
    )


def growth(lr: float, gamma: float) -> float:
    """Logarithm of the spectral radius of I - lr A."""
    drift = FEATURES.T @ (FEATURES - gamma * FEATURES[6]) / 7
    return float(np.log(np.abs(np.linalg.eigvals(np.eye(8) - lr * drift)).max()))


@register.check("baird", source=SOURCE)
def check(data: "xarray.Dataset", gamma: float = 0.99) -> list[Claim]:
    """|w| grows at the spectral radius of the expected update; the residual gradient decreases the loss."""
    lr = float(data["lr"].item())
    one = data.isel(rule=0, lr=0, missing_dims="ignore")
    norms = one["param_norm"].sel({"problem.residual": False}).values
    steps = one["step"].values
    late = steps >= steps[-1] // 2
    slope = np.polyfit(steps[late], np.log(norms[late]), 1)[0]
    losses = one["loss"].sel({"problem.residual": True}).values
    return [
        Claim(
            name="growth of log |w| in a sweep",
            statement="Off-policy semi-gradient TD(0) diverges at the rate given by its expected update.",
            source=SOURCE,
            expected=near(growth(lr, gamma), rel=0.001, name="log spectral radius"),
            measured=[slope],
            how="slope of a line through log |w| over the second half of the sweeps",
            tolerance="contribution of the other eigenvectors: 0.01% there, 4% after a third of the sweeps",
        ),
        Claim(
            name="residual gradient: last loss / first",
            statement="Descent along the true gradient of the Bellman error decreases it on the same problem.",
            source="Baird (1995), Residual Algorithms, Section 4",
            expected=at_most(0.9),
            measured=[losses[-1] / losses[0]],
            how="mean squared Bellman error at the last recorded step divided by that at the first",
            tolerance="any decrease confirms the claim; it is slow, as Baird reports",
        ),
    ]


@register.figure("baird", dims=["step"])
def draw(data: "xarray.Dataset") -> "Figure":
    """|w| against sweeps for the semi-gradient and the residual gradient, with the theoretical growth (dotted)."""
    from gdlab.figures.style import COLOURS, DASHES, GREY, new_figure, style

    one = data.isel(rule=0, lr=0, missing_dims="ignore")
    steps, lr = one["step"].values, float(data["lr"].item())
    with style():
        figure = new_figure("single", 2.5)
        axes = figure.add_subplot()
        for residual, name in ((False, "semi-gradient"), (True, "residual gradient")):
            norms = one["param_norm"].sel({"problem.residual": residual}).values
            axes.plot(steps, norms, color=COLOURS[residual], linestyle=DASHES[residual], label=name)
        last = one["param_norm"].sel({"problem.residual": False}).values[-1]
        line = last * np.exp(growth(lr, 0.99) * (steps - steps[-1]))
        axes.plot(steps, line, color=GREY, linewidth=0.9, linestyle=":", label="spectral radius of the update")
        axes.set(yscale="log", xlabel="sweep", ylabel="norm of the weights |w|")
        axes.legend(loc="upper left")
    return figure
