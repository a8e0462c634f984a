"""Gradient descent trains at the edge of stability: the sharpness rises to the stability threshold and stays there.

Source: Cohen, Kaur, Li, Kolter & Talwalkar (2021), Gradient descent on neural networks typically occurs at the edge of
stability. On a quadratic with the largest curvature S, a rule with rate lr is stable only if S is below a threshold:

    gradient descent  2/lr,    heavy ball  (2 + 2b)/lr,    Nesterov's momentum  (2 + 2b)/((1 + 2b) lr).

In full-batch training the largest eigenvalue of the Hessian, the sharpness, rises until it reaches the threshold and
then oscillates around it, while the loss keeps falling, no longer monotonically. The rates of each rule are chosen so
that all rules have the same thresholds. At the smallest rate the threshold is higher than the sharpness that this task
reaches. At this rate the sharpness is not limited by the threshold, and the loss of gradient descent decreases
monotonically.

Differs from the paper:

- 1,000 images of digits and a tanh network 64-64-64-10 instead of CIFAR-10 and larger networks; this shows the same
  effect within two minutes on two cores;
- kernels with PyTorch's default variance, so that the sharpness starts low enough to rise.

At an even higher rate (with a threshold of 6.67), one of three seeds diverges with heavy ball and with Nesterov's
momentum. Size fast has one seed, two rates and 1,200 steps.
"""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_least, at_most, near
from gdlab.types import Array, Problem

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOURCE = "Cohen et al. (2021), Gradient descent on neural networks typically occurs at the edge of stability"


@register.problem("digits-squared-loss", source=SOURCE, examples=lambda examples=1000, **others: examples)
def digits_squared_loss(examples: int = 1000, widths: tuple[int, ...] = (64, 64)) -> Problem:
    """Half the mean over examples of |f(x) - y|^2 on the first digits of scikit-learn; y is one-hot, f a tanh network.

    The mean of each pixel is subtracted from x [64], and all pixels are divided by one standard deviation. Params are
    those of `mlp`; kernels start with variance 1 / (3 inputs), PyTorch's default, and biases with 0.
    """
    from sklearn.datasets import load_digits  # imported here since it is slow to import, as is flax

    from gdlab.problems.network import functional_mlp

    x, y = load_digits(return_X_y=True)
    x, labels = x[:examples] - x[:examples].mean(axis=0), y[:examples]
    dtype = jnp.result_type(float)
    start, apply = functional_mlp((x.shape[1], *widths, 10), "tanh", "lecun", False, dtype)

    def halved_square(outputs: Array, batch: Any) -> Array:
        return 0.5 * jnp.mean(jnp.sum((outputs - batch[1]) ** 2, axis=1))

    return Problem(
        init=lambda key: jax.tree.map(lambda leaf: leaf / jnp.asarray(3**0.5, dtype), start(key)),
        outputs=lambda params, batch: apply(params, batch[0]),
        criterion=halved_square,
        data=(jnp.asarray(x / x.std(), dtype), jnp.asarray(np.eye(10)[labels], dtype)),
    )


def numerators(constant: float, beta: float) -> dict[str, float]:
    """Sharpness threshold times learning rate, by rule."""
    heavy = constant * (1 + beta)
    return {"gd": constant, "heavy-ball": heavy, "nesterov": heavy / (1 + 2 * beta)}


def over_threshold(data: "xarray.Dataset", rule: str, constant: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Sharpness divided by its threshold, and loss: both [rate, seed, step]."""
    one = data.sel(rule=rule).transpose(..., "seed", "step")
    thresholds = numerators(constant, beta)[rule] / one[f"rules.{rule}.lr"].values
    return one["sharpness"].values / thresholds[:, None, None], one["loss"].values


@register.check("edge-of-stability", source=SOURCE)
def check(data: "xarray.Dataset", constant: float = 2.0, beta: float = 0.9) -> list[Claim]:
    """The sharpness settles at each rule's threshold; at a small rate it stays below and the loss is monotone.

    The first rate of each rule is the control; `constant` is the numerator of gradient descent's threshold, 2.
    """
    claims = []
    for rule in numerators(constant, beta):
        ratios, _ = over_threshold(data, rule, constant, beta)
        late = ratios[1:, :, ratios.shape[-1] // 2 :].mean(axis=-1)
        claims.append(
            Claim(
                name=f"{rule}: sharpness / threshold",
                statement="The sharpness settles at the largest value at which the rule is stable on a quadratic.",
                source=SOURCE,
                expected=near(1, rel=0.05),
                measured=late.ravel(),
                how="mean over the second half of the steps, for each rate but the smallest and each seed",
                tolerance="it oscillates around the threshold; the paper says just above, without a number",
                over_seeds="each",
            )
        )
    ratios, losses = over_threshold(data, "gd", constant, beta)
    reached = np.argmax(ratios[1:] > 0.95, axis=-1)[..., None]  # 0 if never; the last loss is far below the first
    rises = (np.diff(losses, axis=-1) > 0).mean(axis=-1)
    each = "each rate but the smallest, each seed"
    short = "runs at size=fast are too short to show the final sharpness" if data.attrs.get("size") == "fast" else ""
    return [
        *claims,
        Claim(
            name="gd: first sharpness / threshold",
            statement="The sharpness rises before it reaches the threshold (progressive sharpening).",
            source=SOURCE,
            expected=at_most(0.75),
            measured=ratios[1:, :, 0].ravel(),
            how=f"at the initial parameters, {each}",
            tolerance="a rise by a third is larger than the oscillations",
            over_seeds="each",
        ),
        Claim(
            name="gd: share of records at which the loss rose",
            statement="At the edge of stability the loss is not monotone.",
            source=SOURCE,
            expected=at_least(0.02),
            measured=rises[1:].ravel(),
            how=f"of all records of the run, {each}",
            tolerance="one record in fifty; below the threshold there are none",
            over_seeds="each",
        ),
        Claim(
            name="gd: last loss / loss on reaching the edge",
            statement="The loss still falls over longer times.",
            source=SOURCE,
            expected=at_most(0.5),
            measured=(losses[1:, :, -1:] / np.take_along_axis(losses[1:], reached, axis=-1)).ravel(),
            how=f"the edge is reached at the first record above 0.95 of the threshold; {each}",
            tolerance="a factor of two is more than an oscillation of the loss",
            over_seeds="each",
        ),
        Claim(
            name="gd, small rate: greatest sharpness / threshold",
            statement="With a threshold that the task does not reach, the sharpness stays far below the threshold.",
            source=SOURCE,
            expected=at_most(0.6),
            measured=ratios[0].max(axis=-1),
            how="maximum over the whole run at the smallest rate",
            tolerance="set before the run; the rate was chosen on another seed, which reached two fifths",
            over_seeds="each",
            unchecked=short,
        ),
        Claim(
            name="gd, small rate: records at which the loss rose",
            statement="Below the threshold the loss of gradient descent decreases monotonically.",
            source=SOURCE,
            expected=at_most(0),
            measured=rises[0],
            how="share of all records (every 20 steps) of the run at the smallest rate",
            tolerance="none: the loss is monotone",
            over_seeds="each",
        ),
    ]


@register.figure("edge-of-stability", dims=["step"])
def draw(data: "xarray.Dataset") -> "Figure":
    """Sharpness and loss of each rule against the step, at rates with the same three thresholds (dashed)."""
    from gdlab.figures.style import new_figure, style

    titles = {"gd": "gradient descent", "heavy-ball": "heavy ball", "nesterov": "Nesterov's momentum"}
    limits = ["2/lr", "(2 + 2β)/lr", "(2 + 2β)/((1 + 2β) lr)"]
    with style():
        grid = (figure := new_figure("double", 3.9)).add_gridspec(2, 3, height_ratios=[1.25, 1])
        panels: list[list[Axes]] = [[], []]
        for row in range(2):
            for column in range(3):
                above = panels[0][column] if row else None
                beside = panels[row][0] if column else None
                panels[row].append(figure.add_subplot(grid[row, column], sharex=above, sharey=beside))
        for column, rule in enumerate(titles):
            top, foot = panels[0][column], panels[1][column]
            trace(top, foot, data.sel(rule=rule), data[f"rules.{rule}.lr"].values, numerators(2.0, 0.9)[rule])
            top.set_title(f"{titles[rule]}\n{limits[column]}")
            top.tick_params(labelbottom=False, labelleft=column == 0)
            foot.tick_params(labelleft=column == 0)
            foot.set(yscale="log", xlabel="step")
        panels[0][0].set(ylabel="sharpness", ylim=(0, None))
        panels[1][0].set_ylabel("training loss")
        panels[0][0].legend(loc=(0.02, 0.55), labelspacing=0.3)
    return figure


def trace(top: "Axes", foot: "Axes", one: "xarray.Dataset", rates: np.ndarray, numerator: float) -> None:
    """Draw sharpness and loss at each rate, the first seed in front of the others, and the thresholds."""
    from gdlab.figures.style import COLOURS

    one = one.transpose(..., "seed", "step")
    for place, lr in enumerate(rates):
        for seed in reversed(range(one.sizes["seed"])):
            look: dict[str, Any] = {"color": COLOURS[place], "linewidth": 0.9, "alpha": 0.35 if seed else 1.0}
            name = f"threshold {numerator / lr:.3g}" if seed == 0 else None
            top.plot(one["step"], one["sharpness"].values[place, seed], label=name, **look)
            foot.plot(one["step"], one["loss"].values[place, seed], **look)
        top.axhline(numerator / lr, color=COLOURS[place], linewidth=0.9, linestyle="--")
