"""Adam can converge to the worst point of a convex problem; AMSGrad, whose denominator never decreases, finds the best.

Source: Reddi, Kale & Kumar (2018), On the convergence of Adam and beyond: Theorem 1 (periodic), and the synthetic
example of Section 5 and Figure 1 (online, stochastic). On the interval [-1, 1] step t has the cost c_t x, with

    periodic:    c_t = 3 where t mod 3 = 1, else -1;            b1 = 0, b2 = 1/10, rate 0.1/sqrt(t)
    online:      c_t = 1010 where t mod 101 = 1, else -10;      b1 = 0.9, b2 = 0.99, rate 0.5/sqrt(t)
    stochastic:  c_t = 1010 with probability 0.01, else -10;    b1, b2 and rate as online

The mean of c_t is positive, so x = -1 is the best point. Adam divides the rare large gradient by its own magnitude and
forgets it soon, so the frequent small gradients, which have the opposite sign, dominate. Both rules follow the paper:
moments without bias correction, no epsilon, and a projection to [-1, 1] in each step. The regret is the sum of c_t x_t
- c_t (-1).

Differs from the paper:

- each seed starts at a random point of the interval;
- the learning rates are our choice.

The stochastic setting needs many steps: AMSGrad's mean step is 0.2 times 0.5 / (285 sqrt(t)), where 285 is the root of
its largest second moment, so moving from one end of the interval to the other takes 8 million steps. After 6 million
steps one of three seeds had not yet arrived.

Takes a minute and a half on two cores for 12 million steps, and seconds at size=fast, where the stochastic claims are
unchecked.
"""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least, at_most, near
from gdlab.rules.leafwise import each
from gdlab.rules.moments import init_moments, update_moments
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.rules.wrapping import LR, Inner, inner_rule, wrapper
from gdlab.types import Array, Grads, Params, Problem, PyTree, Rule, Step, Updates

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Setting = Literal["periodic", "online", "stochastic"]
PERIODS = {"periodic": (3, 3.0, -1.0), "online": (101, 1010.0, -10.0)}  # period in steps, rare slope, frequent slope
CHANCE, RARE, FREQUENT = 0.01, 1010.0, -10.0
CROSSING = 8e6  # steps from one end of the interval to the other; see the module docstring
PAPER = "Reddi, Kale & Kumar (2018), On the convergence of Adam and beyond"


@register.problem("rare-slope", source=PAPER)
def rare_slope(setting: Setting = "periodic") -> Problem:
    """c_t x with a slope c_t that is rarely large and positive, mostly small and negative (see above). Params: []."""

    def sample(key: Array, step: Array, size: int) -> Array:
        if setting == "stochastic":
            rare, great, small = jax.random.bernoulli(key, CHANCE), RARE, FREQUENT
        else:
            period, great, small = PERIODS[setting]
            rare = step % period == 0  # the paper's t is step + 1
        return jnp.full((size,), jnp.where(rare, jnp.asarray(great, float), jnp.asarray(small, float)))

    return Problem(
        init=lambda key: jax.random.uniform(key, minval=-1, maxval=1),
        loss=lambda x, slopes: jnp.mean(slopes) * x,
        sample=sample,
    )


@register.rule("paper-adam", source=f"{PAPER}, Algorithm 1 with the averages of Adam")
@schedulable
def paper_adam(lr: Hyperparameter = 0.1, b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.99) -> Rule:
    """Adam without bias correction and eps: m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, u = -lr m / sqrt(v)."""

    def update(grads: Grads, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        after = update_moments(grads, state, b1, b2)
        step = each(lambda m, v, lr: -lr * m / jnp.sqrt(v), after.mu, after.nu, lr=lr)
        return step, after

    return Rule(init_moments, update)


class OnlineState(NamedTuple):
    """Regret and the state of the wrapped rule."""

    regret: Array  # [] sum over all steps so far of the cost at x minus the cost at -1
    inner: PyTree


@register.rule("in-interval", source=f"{PAPER}, Algorithm 1", wraps=True)
@wrapper
def in_interval(of: Inner = "gd", lr: Hyperparameter = LR, **hyperparameters: Any) -> Rule:
    """Wrap a rule: project each step to [-1, 1] and accumulate the regret relative to x = -1."""
    inner = inner_rule(of, lr, hyperparameters)

    def init(params: Params) -> OnlineState:
        return OnlineState(jnp.zeros([], jnp.result_type(float)), inner.init(params))

    def update(grads: Grads, state: OnlineState, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        updates, after = inner.update(grads, state.inner, params, **extra)
        kept = jax.tree.map(lambda x, u: jnp.clip(x + u, -1, 1) - x, params, updates)
        least = extra["value_fn"](jax.tree.map(lambda x: jnp.full_like(x, -1), params))
        return kept, OnlineState(state.regret + extra["value"] - least, after)

    return Rule(init, update)


@register.probe("x")
def x(step: Step) -> Array:
    """The parameter x: []."""
    return step.params


@register.probe("average_regret")
def average_regret(step: Step) -> Array:
    """Mean regret per step over all steps up to this one (included), a scalar."""
    states = jax.tree.leaves(step.state, is_leaf=lambda state: isinstance(state, OnlineState))
    (online,) = [state for state in states if isinstance(state, OnlineState)]
    return online.regret / (step.index + 1).astype(online.regret.dtype)


SETTING = "problem.setting"


def of(data: "xarray.Dataset", series: str, rule: str, setting: Setting) -> np.ndarray:
    """Series of one rule in one setting: [seeds, steps]."""
    (dim,) = data[SETTING].dims
    (place,) = np.flatnonzero(data[SETTING].values == setting)
    return data[series].sel(rule=rule).isel({dim: place}).transpose("seed", "step").values


@register.check("amsgrad", source=PAPER)
def check(data: "xarray.Dataset", rare: float = 3.0, best: float = -1.0) -> list[Claim]:
    """Limits of both rules, and Adam's regret in Theorem 1; `rare` is the rare slope C of the periodic cost."""
    bound = 2 * (rare - 2) / 3
    steps = data["step"].values
    short = "" if steps[-1] > CROSSING else "the stochastic runs need 8 million steps to cross the interval"
    late = steps >= steps[-1] // 2
    regrets = of(data, "average_regret", "amsgrad", "online")[:, late]
    claims = [
        Claim(
            name="periodic, Adam: regret a step",
            statement="Adam's average regret does not vanish: every three steps add at least 2 (C - 2).",
            source=f"{PAPER}, Theorem 1",
            expected=near(bound, rel=0.005, name="2 (C - 2) / 3"),
            measured=of(data, "average_regret", "adam", "periodic")[:, -1].tolist(),
            how="regret of all steps divided by their number",
            tolerance="the first few hundred steps from the start, and twice the length of a late step",
            over_seeds="each",
        ),
        Claim(
            name="periodic, Adam: x before a great slope",
            statement="Two steps with the small slope bring Adam back to the worst point, x = 1.",
            source=f"{PAPER}, proof of Theorem 1",
            expected=near(-best, abs=1e-12, name="worst point"),
            measured=of(data, "x", "adam", "periodic")[:, late].min(axis=1).tolist(),
            how="smallest x before a step with slope C, over the second half of the records",
            tolerance="rounding only: the projection sets x = 1",
            over_seeds="each",
        ),
    ]
    for setting in ("periodic", "online", "stochastic"):
        for rule, side in (("adam", -best), ("amsgrad", best)):
            if (setting, rule) != ("periodic", "adam"):
                place = of(data, "x", rule, setting)[:, -len(steps) // 10 :].mean(axis=1)
                claims.append(_settles(rule, setting, side, place, short if setting == "stochastic" else ""))
    slopes = [np.polyfit(np.log(steps[late]), np.log(regret), 1)[0] for regret in regrets]
    claims.append(
        Claim(
            name="online, AMSGrad: regret a step against t",
            statement="AMSGrad's regret grows no faster than the square root of the number of steps.",
            source=f"{PAPER}, Theorem 4 and Corollary 1",
            expected=at_most(-0.5 + 0.05),
            measured=slopes,
            how="slope of log average regret against log t over the second half of the steps",
            tolerance="an upper bound with a margin for a logarithmic factor",
            over_seeds="each",
        )
    )
    return claims


def _settles(rule: str, setting: str, side: float, place: np.ndarray, unchecked: str) -> Claim:
    name = {"adam": "Adam", "amsgrad": "AMSGrad"}[rule]
    return Claim(
        name=f"{setting}, {name}: x",
        statement=f"{name} settles at the {'worst' if rule == 'adam' else 'best'} point of the interval.",
        source=f"{PAPER}, {'Theorem 1' if setting == 'periodic' else 'Figure 1'}",
        expected=at_least(0.95 * side) if side > 0 else at_most(0.95 * side),
        measured=place.tolist(),
        how="mean x over the last tenth of the records",
        tolerance="steps of finite length stay slightly off the end; the middle of the interval is 0",
        over_seeds="each",
        unchecked=unchecked,
    )


@register.figure("amsgrad", dims=["step"], source=f"{PAPER}, Figure 1")
def draw(data: "xarray.Dataset") -> "Figure":
    """x_t and the average regret of both rules, one column per setting and one line per seed."""
    from gdlab.figures.style import new_figure, style
    from gdlab.figures.wording import caption

    steps = (data["step"].values + 1) / 1e6
    with style():
        figure = new_figure("double", 3.6)
        grid = figure.subplots(2, 3, sharex=True, sharey="row")
        titles = ("periodic: 3x, −x, −x, ...", "online: 1010x, 100 × −10x, ...", "stochastic: 1010x (1%), −10x")
        for column, (setting, title) in enumerate(zip(("periodic", "online", "stochastic"), titles, strict=True)):
            above, below = grid[:, column]
            above.set_title(title)
            _lines(above, data, "x", setting, steps)
            _lines(below, data, "average_regret", setting, steps)
            below.set(xlabel="iterations (millions)", xlim=(0, steps[-1]), ylim=(-0.1, 1.0))
            below.set_xticks(np.linspace(0, round(steps[-1]), 5) if steps[-1] > 1 else [0, 0.1, 0.2, 0.3])
        _marks(grid)
        caption(
            figure,
            [
                f"Lines: {data.sizes['seed']} seeds, each with a random start",
                "Regret: relative to x = −1 at every step",
            ],
            "double",
        )
    return figure


def _lines(axes: "Axes", data: "xarray.Dataset", series: str, setting: Setting, steps: np.ndarray) -> None:
    from gdlab.figures.style import COLOURS, DASHES

    for place, rule in enumerate(("adam", "amsgrad")):
        for line in of(data, series, rule, setting):
            axes.plot(steps, line, color=COLOURS[1 - place], linestyle=DASHES[place], linewidth=1)


def _marks(grid: np.ndarray) -> None:
    from gdlab.figures.style import COLOURS, DASHES, GREY

    grid[0, 0].set(ylabel="$x_t$", ylim=(-1.15, 1.15))
    grid[1, 0].set(ylabel="average regret $R_t/t$")
    for place, name in enumerate(("Adam", "AMSGrad")):
        grid[0, 0].plot([], [], color=COLOURS[1 - place], linestyle=DASHES[place], label=name)
    grid[0, 0].legend(loc="center", ncols=2)
    for axes in grid[0]:
        axes.axhline(-1, color=GREY, linewidth=0.8, linestyle=":")
    look: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "right", "fontsize": 7, "color": GREY}
    grid[0, 0].annotate("best point", (0.98, -0.93), **look)
    grid[1, 0].axhline(2 / 3, color=GREY, linewidth=0.8, linestyle=":")
    grid[1, 0].annotate("2(C − 2)/3, Theorem 1", (0.98, 0.7), **look)
