"""Learning in a deep linear network: each singular mode of the task follows a sigmoid, at its own time.

After Saxe, McClelland & Ganguli (2014), Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Neural
Networks. Two layers on white inputs, so that with S = U diag(s) V' the correlation of outputs and inputs

    loss(W1, W2) = 1/2 |S - W2 W1|^2,    strength of mode i: a_i = u_i' W2 W1 v_i.

Under the gradient flow, from balanced weights that are aligned with U and V and have a_i(0) = a0,

    a_i(t) = s_i e^(2 s_i t) / (e^(2 s_i t) - 1 + s_i / a0),    a_i = s_i / 2 at t_i = ln(s_i / a0 - 1) / (2 s_i).

From small random weights N(0, sigma^2) each mode grows out of the part of them in its growing direction, of mean
strength a0 = hidden sigma^2 / 2, and the same curve follows; t_i s_i is then the same but for a logarithm.

Differs from the paper: the population loss rather than data, and no tanh network beside the linear one. t = lr steps.

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

SIZE, HIDDEN = 8, 32  # inputs, and as many outputs; hidden units
STRENGTHS = (3.0, 2.1, 1.5, 1.05, 0.75)
SIGMA = 1e-4
START = {True: 1e-3, False: HIDDEN * SIGMA**2 / 2}  # a0, aligned or random
SOURCE = (
    "Saxe, McClelland & Ganguli (2014), Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Networks"
)


def bases() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U and V [size, modes], and R [hidden, modes]: orthonormal columns, drawn once."""
    draw = np.random.default_rng(0).normal
    u, v, r = (np.linalg.qr(draw(size=(rows, len(STRENGTHS))))[0] for rows in (SIZE, SIZE, HIDDEN))
    return u, v, r


@register.problem("deep-linear", source=SOURCE)
def deep_linear(aligned: bool = True) -> Problem:
    """Half of |S - W2 W1|^2 from weights aligned with S, or small random ones. Params: W1 [32, 8], W2 [8, 32]."""
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
    """The closed form a(t); `speed` is the factor 2 in its exponent."""
    return s / (1 + (s / a0 - 1) * np.exp(-speed * s * t))


def half_time(s: float, a0: float, speed: float = 2.0) -> float:
    """When a = s / 2."""
    return float(np.log(s / a0 - 1) / (speed * s))


def strengths(data: "xarray.Dataset", aligned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Times [step], and the strengths [seed, step, modes]."""
    one = data["mode-strengths"].isel(rule=0, lr=0, missing_dims="ignore").sel({"problem.aligned": aligned})
    (modes,) = set(one.dims) - {"seed", "step"}
    return data["step"].values * float(data["lr"].item()), one.transpose("seed", "step", modes).values


def crossings(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    """When each mode first has half its strength, between records by a line: [seed, modes]; NaN: it never has."""
    half = values / np.array(STRENGTHS) - 0.5
    at = np.argmax(half >= 0, axis=1)[:, None]
    before, after = (np.take_along_axis(half, np.maximum(at + k, 0), 1)[:, 0] for k in (-1, 0))
    crossed = t[at[:, 0]] - (t[1] - t[0]) * after / np.where(after > before, after - before, 1)
    return np.where(at[:, 0] > 0, crossed, np.nan)


@register.check("deep-linear", source=SOURCE)
def check(data: "xarray.Dataset", speed: float = 2.0) -> list[Claim]:
    """Curves and half-times against the closed form; t s nearly constant from small random weights."""
    s = np.array(STRENGTHS)
    t, values = strengths(data, True)
    theory = np.stack([sigmoid(t, mode, START[True], speed) for mode in s], axis=1)
    claims = [
        Claim(
            name="aligned: largest |a - closed form| / s",
            statement="From aligned balanced weights the modes follow the closed form, each by itself.",
            source=SOURCE,
            expected=at_most(0.005),
            measured=[float((abs(values[0] - theory) / s).max())],
            how="over all modes and all records",
            tolerance="Euler's steps delay a mode by lr s / 2 of its time: 0.15% at s = 3, 0.3% of s where it is steep",
        )
    ]
    for mode, time in zip(STRENGTHS, crossings(t, values)[0], strict=True):
        claims.append(
            Claim(
                name=f"aligned: half-time of s = {mode:g}",
                statement="A mode is learned in a time of the order of 1 / s.",
                source=SOURCE,
                expected=near(half_time(mode, START[True], speed), rel=0.005, name="ln(s/a0-1)/(2s)"),
                measured=[float(time)],
                how="the first crossing of s / 2, between records by a line",
                tolerance="Euler's steps: at most lr s / 2 = 0.15% of it",
            )
        )
    times = crossings(*strengths(data, False)) * s
    known = np.array([half_time(mode, START[False], speed) for mode in s]) * s
    claims.append(
        Claim(
            name="random: largest |t s / its mean over modes - 1|",
            statement="From small random weights the time of a mode goes as 1 / s.",
            source=SOURCE,
            expected=at_most(0.08),
            measured=abs(times / times.mean(1, keepdims=True) - 1).max(1).tolist(),
            how="half-times t of each seed, times s",
            tolerance="ln(s / a0) over a factor of 4 in s: 4.4%; the weights' chance, sqrt(2 / 32) in a0: 2% a mode",
        )
    )
    claims.append(
        Claim(
            name="random: t s over ln(s/a0-1)/2, mean over modes",
            statement="From small random weights the closed form holds with the strength that they have in the mode.",
            source=SOURCE,
            expected=near(1, rel=0.03),
            measured=(times / known).mean(1).tolist(),
            how="a0 = hidden sigma^2 / 2, the mean of |(W2' u + W1 v) / 2|^2",
            tolerance="chance of the weights: 25% in a0, 1.6% in t, of each mode, less in their mean",
        )
    )
    return claims


@register.figure("deep-linear", dims=["step", "seed"])
def draw(data: "xarray.Dataset") -> "Figure":
    """The strength of each mode against time, by the network and by the closed form, for either start."""
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
