"""Learning in a deep linear network: each singular mode of the task follows a sigmoid with its own half-time.

Source: Saxe, McClelland & Ganguli (2014), Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Neural
Networks. Two layers on white inputs, where S = U diag(s) V' is the correlation of outputs and inputs:

    loss(W1, W2) = 1/2 |S - W2 W1|^2,    strength of mode i: a_i = u_i' W2 W1 v_i.

Under the gradient flow, from balanced weights that are aligned with U and V and have a_i(0) = a0,

    a_i(t) = s_i e^(2 s_i t) / (e^(2 s_i t) - 1 + s_i / a0),    a_i = s_i / 2 at t_i = ln(s_i / a0 - 1) / (2 s_i).

From small random weights N(0, sigma^2), each mode grows from the component of the weights in its growing direction,
which has the mean strength a0 = hidden sigma^2 / 2. It then follows the same curve, so t_i s_i is constant up to a
logarithm. Time is t = lr * steps.

Differs from the paper:

- the population loss instead of data;
- no tanh network for comparison.

Runs in seconds.
"""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_most, near
from gdlab.types import Array, Params, Problem, Step

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SIZE, HIDDEN = 8, 32  # number of inputs and of outputs; hidden units
STRENGTHS = (3.0, 2.1, 1.5, 1.05, 0.75)
SIGMA = 1e-4
START = {True: 1e-3, False: HIDDEN * SIGMA**2 / 2}  # a0, aligned or random
SOURCE = (
    "Saxe, McClelland & Ganguli (2014), Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Networks"
)


def bases() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U and V [size, modes], R [hidden, modes]: orthonormal columns from a fixed seed."""
    draw = np.random.default_rng(0).normal
    u, v, r = (np.linalg.qr(draw(size=(rows, len(STRENGTHS))))[0] for rows in (SIZE, SIZE, HIDDEN))
    return u, v, r


@register.problem("deep-linear", source=SOURCE)
def deep_linear(aligned: bool = True) -> Problem:
    """1/2 |S - W2 W1|^2, starting from weights aligned with S or small random ones. Params: W1 [32, 8], W2 [8, 32]."""
    u, v, r = bases()

    def init(key: Array) -> Params:
        first, second = jax.random.split(key)
        if aligned:
            root = START[True] ** 0.5
            return {"W1": jnp.asarray(root * r @ v.T, float), "W2": jnp.asarray(root * u @ r.T, float)}
        w1 = SIGMA * jax.random.normal(first, (HIDDEN, SIZE), float)
        return {"W1": w1, "W2": SIGMA * jax.random.normal(second, (SIZE, HIDDEN), float)}

    def loss(params: Params, batch: None) -> Array:
        task = jnp.asarray(u * np.array(STRENGTHS) @ v.T, params["W1"].dtype)
        return 0.5 * jnp.sum((task - params["W2"] @ params["W1"]) ** 2)

    return Problem(init=init, loss=loss)


@register.probe("mode-strengths", source=SOURCE, cost="none")
def mode_strengths(step: Step) -> Array:
    """u_i' W2 W1 v_i for each mode of the task: [modes]."""
    u, v, _ = (jnp.asarray(basis, step.params["W1"].dtype) for basis in bases())
    return jnp.sum((u.T @ step.params["W2"]) * (step.params["W1"] @ v).T, axis=1)


def sigmoid(t: np.ndarray, s: float, a0: float, speed: float = 2.0) -> np.ndarray:
    """The strength a(t) of a mode in closed form; `speed` replaces the factor 2 in the exponent."""
    return s / (1 + (s / a0 - 1) * np.exp(-speed * s * t))


def half_time(s: float, a0: float, speed: float = 2.0) -> float:
    """Time at which a = s / 2."""
    return float(np.log(s / a0 - 1) / (speed * s))


def strengths(data: "xarray.Dataset", aligned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Times [step] and strengths [seed, step, modes]."""
    one = data["mode-strengths"].isel(rule=0, lr=0, missing_dims="ignore").sel({"problem.aligned": aligned})
    (modes,) = set(one.dims) - {"seed", "step"}
    return data["step"].values * float(data["lr"].item()), one.transpose("seed", "step", modes).values


def crossings(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Time at which each mode first reaches s / 2, interpolated linearly: [seed, modes]; NaN where it never does."""
    half = values / np.array(STRENGTHS) - 0.5
    at = np.argmax(half >= 0, axis=1)[:, None]
    before, after = (np.take_along_axis(half, np.maximum(at + k, 0), 1)[:, 0] for k in (-1, 0))
    crossed = t[at[:, 0]] - (t[1] - t[0]) * after / np.where(after > before, after - before, 1)
    return np.where(at[:, 0] > 0, crossed, np.nan)


@register.check("deep-linear", source=SOURCE)
def check(data: "xarray.Dataset", speed: float = 2.0) -> list[Claim]:
    """Curves and half-times equal the closed form; t s is nearly constant from small random weights."""
    s = np.array(STRENGTHS)
    t, values = strengths(data, True)
    theory = np.stack([sigmoid(t, mode, START[True], speed) for mode in s], axis=1)
    claims = [
        Claim(
            name="aligned: largest |a - closed form| / s",
            statement="From aligned balanced weights each mode follows the closed form, independently of the others.",
            source=SOURCE,
            expected=at_most(0.005),
            measured=[float((abs(values[0] - theory) / s).max())],
            how="over all modes and all records",
            tolerance="Euler steps delay a mode by the fraction lr s / 2: 0.15% at s = 3, 0.3% of s where it is steep",
        )
    ]
    for mode, time in zip(STRENGTHS, crossings(t, values)[0], strict=True):
        claims.append(
            Claim(
                name=f"aligned: half-time of s = {mode:g}",
                statement="The time to learn a mode is of the order of 1 / s.",
                source=SOURCE,
                expected=near(half_time(mode, START[True], speed), rel=0.005, name="ln(s/a0-1)/(2s)"),
                measured=[float(time)],
                how="first crossing of s / 2, interpolated linearly between records",
                tolerance="error of Euler steps: at most lr s / 2 = 0.15%",
            )
        )
    times = crossings(*strengths(data, False)) * s
    known = np.array([half_time(mode, START[False], speed) for mode in s]) * s
    claims.append(
        Claim(
            name="random: largest |t s / its mean over modes - 1|",
            statement="From small random weights the time to learn a mode is proportional to 1 / s.",
            source=SOURCE,
            expected=at_most(0.08),
            measured=abs(times / times.mean(1, keepdims=True) - 1).max(1).tolist(),
            how="half-time t of each mode and seed, multiplied by s",
            tolerance="ln(s / a0) over a factor of 4 in s: 4.4%; random weights, sqrt(2 / 32) in a0: 2% per mode",
        )
    )
    claims.append(
        Claim(
            name="random: t s over ln(s/a0-1)/2, mean over modes",
            statement="From small random weights the closed form holds with their initial strength in the mode as a0.",
            source=SOURCE,
            expected=near(1, rel=0.03),
            measured=(times / known).mean(1).tolist(),
            how="with a0 = hidden sigma^2 / 2, the mean of |(W2' u + W1 v) / 2|^2",
            tolerance="random weights: 25% in a0 and 1.6% in t for each mode, less for the mean over modes",
        )
    )
    return claims


@register.figure("deep-linear", dims=["step", "seed"])
def draw(data: "xarray.Dataset") -> "Figure":
    """Strength of each mode against time in the network and in closed form, from aligned and from random weights."""
    from gdlab.figures.style import COLOURS, GREY, new_figure, style

    with style():
        figure = new_figure("double", 2.6)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, aligned in zip(panels, (True, False), strict=True):
            t, values = strengths(data, aligned)
            for place, mode in enumerate(STRENGTHS):
                for seed in values[:1] if aligned else values:
                    width = 1.6 if aligned else 0.6
                    axes.plot(t, seed[:, place], color=COLOURS[0], linewidth=width, alpha=1 if aligned else 0.7)
                axes.plot(t, sigmoid(t, mode, START[aligned]), color=COLOURS[1], linewidth=1, linestyle=(0, (3, 2)))
                axes.text(
                    0.995,
                    mode + 0.06,
                    f"s = {mode:g}",
                    transform=axes.get_yaxis_transform(),
                    fontsize=6.5,
                    color=GREY,
                    ha="right",
                )
            axes.plot([], [], color=COLOURS[0], label="network" if aligned else f"network, {len(values)} seeds")
            label = "closed form" if aligned else "closed form, mean a0"
            axes.plot([], [], color=COLOURS[1], linewidth=1, linestyle=(0, (3, 2)), label=label)
            latest = half_time(min(STRENGTHS), START[aligned])
            axes.set(xlim=(0, 1.6 * latest), xlabel="time t = lr × step", ylim=(0, 3.9))
            axes.set_title("aligned weights" if aligned else "small random weights")
            axes.legend(loc="upper left", ncols=2)
        panels[0].set_ylabel("strength of the mode u′ W₂W₁ v")
    return figure
