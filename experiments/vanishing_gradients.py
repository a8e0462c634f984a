"""Gradients through time vanish or explode as a power of the spectral radius; clipping prevents divergence.

Source: Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, Section 2 and
Algorithm 1. The network is h_{t+1} = phi(W h_t + U x_t), where phi is the identity or tanh and W is Gaussian, scaled to
a spectral radius rho.

Left and middle: the norm of dh_T/dh_t before training, without input, against T - t, for T = 500 steps. For the
identity it is the norm of W^(T-t), whose logarithm grows as (T - t) log rho. For tanh the slopes of tanh, at most 1,
are additional factors: they tend to 1 if the state decays to 0 (rho < 1), and otherwise limit the growth.

Right: the share of runs that diverge on the adding task (Hochreiter & Schmidhuber 1997) of 30 steps, with gradient
descent at two rates, with and without clipping the norm of the gradient at 1.

Differs from the paper: the paper trains long tasks until they are solved; here no task is solved within the 400
updates, so the experiment shows only that runs diverge without clipping and that clipped runs do not.

Takes half a minute on two cores.
"""

from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least, at_most
from gdlab.types import Array, Params, Problem, Step

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Activation = Literal["identity", "tanh"]
PHI = {"identity": lambda z: z, "tanh": jnp.tanh}
SLOPE = {"identity": jnp.ones_like, "tanh": lambda h: 1 - h**2}  # phi' as a function of h = phi(z)
PAPER = "Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks"
LAGS, SPAN = 500, (100, 400)


@register.problem("adding-rnn", source="Hochreiter & Schmidhuber (1997), Long short-term memory, Section 5.4")
def adding_rnn(rho: float = 1.0, activation: Activation = "tanh", hidden: int = 32, length: int = 30) -> Problem:
    """Mean squared error of a'h_T as a prediction of the sum of two marked numbers among `length` uniform ones.

    The constant prediction 1 has the loss 1/6. Params {"inputs": U [2, hidden], "readout": a [hidden],
    "recurrent": W [hidden, hidden]}.
    """

    def init(key: Array) -> Params:
        recurrent, inputs, readout = jax.random.split(key, 3)
        w = jax.random.normal(recurrent, (hidden, hidden), float)
        radius = jnp.max(jnp.abs(jnp.linalg.eigvals(w)))
        return {
            "inputs": 0.5 * jax.random.normal(inputs, (2, hidden), float),
            "readout": jax.random.normal(readout, (hidden,), float) / np.sqrt(hidden),
            "recurrent": jnp.asarray(rho, w.dtype) * w / radius,
        }

    def sample(key: Array, step: Array, size: int) -> tuple[Array, Array]:
        numbers, first, second = jax.random.split(key, 3)
        values, half = jax.random.uniform(numbers, (length, size), float), length // 2
        early, late = (jax.random.randint(k, (size,), 0, half) for k in (first, second))
        places = jnp.arange(length)[:, None]
        marks = ((places == early[None, :]) | (places == late[None, :] + half)).astype(values.dtype)
        return jnp.stack([values, marks], axis=-1), jnp.sum(values * marks, axis=0)

    def loss(params: Params, batch: tuple[Array, Array]) -> Array:
        x, target = batch

        def step(h: Array, x_t: Array) -> tuple[Array, None]:
            return PHI[activation](h @ params["recurrent"].T + x_t @ params["inputs"]), None

        h, _ = jax.lax.scan(step, jnp.zeros((x.shape[1], hidden), x.dtype), x)
        return jnp.mean((h @ params["readout"] - target) ** 2)

    return Problem(init=init, loss=loss, sample=sample, facts={"activation": activation})


@register.probe("log_jacobian", cost="1000 products of a vector or a matrix with W")
def log_jacobian(step: Step) -> Array:
    """log of the Frobenius norm of dh_T/dh_t for T - t = 1, ..., T = 500, without input, from a random h_0: [500]."""
    w, activation = step.params["recurrent"], step.problem.facts["activation"]
    start = jax.random.normal(step.key, w.shape[:1], w.dtype)

    def forth(h: Array, _: None) -> tuple[Array, Array]:
        after = PHI[activation](w @ h)
        # Only the linear state can grow. The derivative does not depend on its size, so it is normalised.
        return (after / jnp.linalg.norm(after) if activation == "identity" else after), after

    def back(jacobian: Array, h: Array) -> tuple[Array, Array]:
        product = jacobian @ (SLOPE[activation](h)[:, None] * w)
        size = jnp.linalg.norm(product)
        return product / size, jnp.log(size)

    _, states = jax.lax.scan(forth, start, None, LAGS)
    _, logs = jax.lax.scan(back, jnp.eye(w.shape[0], dtype=w.dtype), states, reverse=True)
    return jnp.cumsum(logs[::-1])


def slopes(data: "xarray.Dataset", activation: Activation) -> np.ndarray:
    """Slope of log |dh_T/dh_t| against T - t, fitted over the lags in `SPAN`: [rho, seeds]."""
    curves = logs(data, activation)
    first, last = SPAN
    lags = np.arange(first, last + 1)
    return np.apply_along_axis(lambda log: np.polyfit(lags, log, 1)[0], -1, curves[..., first - 1 : last])


def logs(data: "xarray.Dataset", activation: Activation) -> np.ndarray:
    """log |dh_T/dh_t| before training: [rho, seeds, lags]. It does not depend on rule and rate."""
    start = data["log_jacobian"].isel(step=0, rule=0, lr=0).sel({"problem.activation": activation})
    return start.transpose("problem.rho", "seed", ...).values


def lost(data: "xarray.Dataset", rule: str, activation: Activation) -> np.ndarray:
    """True for runs that diverged: [rho, rates, seeds]."""
    fates = data["diverged_at"].sel({"rule": rule, "problem.activation": activation}) >= 0
    return fates.transpose("problem.rho", "lr", "seed").values


@register.check("vanishing-gradients", source=PAPER)
def check(data: "xarray.Dataset", power: float = 1.0) -> list[Claim]:
    """The slopes are `power` log rho as in theory; clipped runs do not diverge where others do."""
    rho = data["problem.rho"].values
    theory = power * np.log(rho)[:, None]
    linear, tanh = slopes(data, "identity"), slopes(data, "tanh")
    linear_lost, tanh_lost = lost(data, "gd", "identity"), lost(data, "gd", "tanh")
    clipped = np.concatenate([lost(data, "clipped", "identity"), lost(data, "clipped", "tanh")])
    steps = int(data["steps_taken"].max())
    long_enough = "" if steps >= 400 else f"needs 400 updates, not {steps}: tanh runs reach a cliff late"
    how = f"slope of log |dh_T/dh_t| against T - t from {SPAN[0]} to {SPAN[1]}, before training"
    return [
        Claim(
            name="linear: slope less log rho",
            statement="The norm of dh_T/dh_t grows as rho^(T-t): it vanishes for rho < 1 and explodes for rho > 1.",
            source=f"{PAPER}, Section 2.1",
            expected=at_most(0.005),
            measured=np.abs(linear - theory).max(axis=0).tolist(),
            how=f"{how}; largest difference over rho",
            tolerance="deviation from a power law by a factor of about 2 over 300 steps",
            over_seeds="each",
        ),
        Claim(
            name="tanh, rho < 1: slope less log rho",
            statement="For rho < 1 the state decays, tanh is linear, and gradients vanish as in the linear network.",
            source=f"{PAPER}, Section 2.1",
            expected=at_most(0.005),
            measured=np.abs(tanh - theory)[rho < 1].max(axis=0).tolist(),
            how=f"{how}; largest difference over rho < 1",
            tolerance="as for the linear network",
            over_seeds="each",
        ),
        Claim(
            name=f"tanh, rho = {rho[-1]:g}: slope over log rho",
            statement="rho > 1 is necessary but not sufficient for exploding gradients: saturation limits them.",
            source=f"{PAPER}, Section 2.1",
            expected=at_most(0.5),
            measured=(tanh[-1] / theory[-1]).tolist(),
            how=f"{how}, divided by log rho",
            tolerance="a loose upper bound: the ratio is 0 on a cycle and slightly above 0 in chaos",
            over_seeds="each",
        ),
        Claim(
            name="linear, rho > 1, no clipping: share diverged",
            statement="Exploding gradients make gradient descent diverge.",
            source=f"{PAPER}, Section 2.3",
            expected=at_least(1),
            measured=linear_lost[rho > 1].mean(axis=(0, 1)).tolist(),
            how="share over rho > 1 and the rates",
            tolerance="none",
            over_seeds="each",
        ),
        Claim(
            name=f"tanh, rho = {rho[-1]:g}, greater rate, no clipping: share diverged",
            statement="Saturation does not prevent divergence: training reaches a cliff.",
            source=f"{PAPER}, Section 2.3",
            expected=at_least(1),
            measured=tanh_lost[-1, -1].astype(float).tolist(),
            how="1 for each seed that diverged, 0 for the others",
            tolerance="none",
            over_seeds="each",
            unchecked=long_enough,
        ),
        Claim(
            name="clipped: share diverged",
            statement="With the norm of the gradient clipped, no run diverges at the same rates.",
            source=f"{PAPER}, Section 3.2, Algorithm 1",
            expected=at_most(0),
            measured=clipped.mean(axis=(0, 1)).tolist(),
            how="share over both networks, rho and the rates",
            tolerance="none",
            over_seeds="each",
        ),
    ]


@register.figure("vanishing-gradients", dims=["step", "problem.rho"], source=PAPER)
def draw(data: "xarray.Dataset") -> "Figure":
    """log |dh_T/dh_t| against T - t, linear and tanh, with rho^(T-t); share of diverged runs, clipped or not."""
    from gdlab.figures.style import new_figure, style
    from gdlab.figures.wording import caption

    with style():
        figure = new_figure("double", 2.9)
        left, middle, right = figure.subplots(1, 3)
        for axes, activation, title in ((left, "identity", "linear"), (middle, "tanh", "tanh")):
            _powers(axes, data, activation)
            axes.set(title=title, xlabel="lag T − t", xlim=(0, LAGS), ylim=(-110, 110))
        left.set_ylabel(r"$\log_{10}\,\|\partial h_T/\partial h_t\|$")
        middle.tick_params(labelleft=False)
        _shares(right, data)
        runs = f"{data.sizes['lr']} rates and {data.sizes['seed']} seeds"
        caption(figure, [f"Lines: {data.sizes['seed']} seeds; dotted: ρ^(T − t)", f"Right: over {runs}"], "double")
    return figure


def _powers(axes: "Axes", data: "xarray.Dataset", activation: Activation) -> None:
    from gdlab.figures.style import COLOURS, GREY

    lags = np.arange(1, LAGS + 1)
    for place, (rho, curves) in enumerate(zip(data["problem.rho"].values, logs(data, activation), strict=True)):
        for curve in curves:
            axes.plot(lags, curve / np.log(10), color=COLOURS[place], linewidth=0.9)
        axes.plot(lags, lags * np.log10(rho), color=GREY, linestyle=":", linewidth=0.8)
        if activation == "identity":
            reach = min(LAGS * 0.93, 88 / max(abs(np.log10(rho)), 1e-9))
            look = {"color": COLOURS[place], "fontsize": 7, "ha": "right" if rho != 0.5 else "left"}
            axes.annotate(
                f"ρ = {rho:g}",
                (reach, reach * np.log10(rho)),
                (-4 if rho > 0.5 else 5, 5),
                textcoords="offset points",
                **look,
            )


def _shares(axes: "Axes", data: "xarray.Dataset") -> None:
    from gdlab.figures.style import COLOURS, DASHES, MARKERS

    rho = data["problem.rho"].values
    for place, (activation, name) in enumerate((("identity", "linear"), ("tanh", "tanh"))):
        share = lost(data, "gd", activation).mean(axis=(1, 2))
        axes.plot(rho, share, color=COLOURS[place], marker=MARKERS[place], markersize=4, label=f"{name}, not clipped")
    both = np.concatenate([lost(data, "clipped", name) for name in ("identity", "tanh")], axis=1).mean(axis=(1, 2))
    axes.plot(rho, both, color=COLOURS[4], linestyle=DASHES[1], marker=MARKERS[2], markersize=4, label="both, clipped")
    axes.set(
        title=f"adding task, {int(data['steps_taken'].max())} updates",
        xlabel="spectral radius ρ",
        ylabel="share of runs diverged",
    )
    axes.set_ylim(-0.04, 1.55)
    axes.set_yticks([0, 0.5, 1])
    axes.legend(loc="upper left")
