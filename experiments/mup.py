"""The best learning rate changes with a network's width in the standard parametrisation and hardly changes in muP.

Source: Yang, Hu, Babuschkin, Sidor, Liu, Farhi, Ryder, Pachocki, Chen & Gao (2022), Tensor Programs V: Tuning Large
Neural Networks via Zero-Shot Hyperparameter Transfer (https://arxiv.org/abs/2203.03466), Figure 1 and Section 3. Loss
against learning rate, one curve for each width, in both parametrisations.

Setup: perceptron 64-n-n-10, ReLU, on images of digits; Adam, batches of 128, 100 steps, five seeds. muP with base width
64 is implemented in the problem: the hidden and the last kernels are W = (64 / n) w, where w is trained. Since Adam's
steps do not depend on the gradient's scale, this multiplies their learning rate by 64 / n. Hidden kernels start as in
the standard parametrisation, the last one at zero.

Differs from the paper:

- a perceptron on digits instead of transformers, since the change is visible within seconds;
- the learning rate of the last kernel is divided instead of its output; for a start at zero this is one of the
  equivalent forms in the paper's Appendix.

The loss is the mean over the last 20 batches. The best rate is the vertex of a parabola through the logarithms of the
five losses around the smallest one, because final losses at large rates are noisy: the rate with the smallest loss
changes by an octave from seed to seed. We measure by how many octaves the best rate changes when the width doubles. A
third of an octave per doubling, which is one octave from width 64 to 512, separates change from no change. (With rates
an octave apart and the best of three seeds, the change looks like two octaves; half of that is due to the spacing.)

Takes a minute and a half on two cores; `--size fast` has three widths and every other rate, and the claims on the
change of the best rate are unchecked.
"""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gdlab import register
from gdlab.analysis.claims import Claim, at_most, between
from gdlab.problems import mlp
from gdlab.types import Array, Params, Problem

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SOURCE = "Yang et al. (2022), Tensor Programs V, Figure 1"
WIDTH, MUP = "problem.width", "problem.mup"


@register.problem("mup", source=SOURCE)
def mup(width: int = 64, mup: bool = False, base: int = 64) -> Problem:
    """Cross-entropy of a ReLU network 64-n-n-10 on digits, n = `width`, in the standard parametrisation or in muP."""
    plain = mlp("digits", (width, width))

    def scaled(params: Params, to_weights: bool) -> Params:
        """Convert trained params to the weights of the network, or back."""

        def one(path: Any, leaf: Array) -> Array:
            layer, kind = path[-2].key, path[-1].key
            factor = base / width if mup and layer > 0 and kind == "kernel" else 1.0
            return leaf * factor if to_weights else leaf / factor

        return jax.tree_util.tree_map_with_path(one, params)

    def init(key: Array) -> Params:
        weights = plain.init(key)
        if mup:
            weights["layers"][2]["kernel"] *= 0
        return scaled(weights, to_weights=False)

    return Problem(
        init=init,
        loss=lambda params, batch: plain.loss(scaled(params, to_weights=True), batch),
        data=plain.data,
        eval_data=plain.eval_data,
        metrics={
            name: lambda params, batch, metric=metric: metric(scaled(params, to_weights=True), batch)
            for name, metric in plain.metrics.items()
        },
    )


def late_loss(data: "xarray.Dataset") -> "xarray.DataArray":
    """Mean of the last 20 losses; infinite where a run diverged."""
    return data["loss"].isel(rule=0, step=slice(-20, None)).mean("step", skipna=False).fillna(np.inf)


def best_rates(data: "xarray.Dataset") -> "xarray.DataArray":
    """log2 of the best rate, over (seed, parametrisation, width): the vertex of a parabola through five log losses.

    If the parabola has no minimum or one of the five runs diverged, it is the rate with the smallest loss instead.
    """
    losses, rates = np.log(late_loss(data)).transpose(..., "lr"), np.log2(data["lr"].values)

    def vertex(values: np.ndarray) -> float:
        least = int(values.argmin())
        about = slice(max(0, least - 2), least + 3)
        if not np.isfinite(values[about]).all():
            return float(rates[least])
        bend, slope, _ = np.polyfit(rates[about] - rates[least], values[about], 2)
        return float(rates[least] - (np.clip(slope / (2 * bend), -1, 1) if bend > 0 else 0.0))

    places = np.apply_along_axis(vertex, -1, losses.values)
    return losses.isel(lr=0, drop=True).copy(data=places).transpose("seed", MUP, WIDTH)


@register.check("mup", source=SOURCE)
def check(data: "xarray.Dataset", octaves: float = 1 / 3) -> list[Claim]:
    """Change of the best rate in octaves per doubling of the width, in both parametrisations."""
    best, doublings = best_rates(data), np.log2(data[WIDTH].values)
    slopes = {
        is_mup: [float(np.polyfit(doublings, one, 1)[0]) for one in best.sel({MUP: is_mup}).values]
        for is_mup in (False, True)
    }
    widest = int(data[WIDTH].values.max())
    short = "" if widest >= 512 else f"needs a width of at least 512; the widest network has {widest} units"
    how = "slope of log2 of the best rate against log2 of the width, for each seed"
    between_them = "an octave from width 64 to 512, between the predictions for the two parametrisations"
    return [
        Claim(
            name="standard: octaves a doubling",
            statement="In the standard parametrisation the best learning rate falls as the width increases.",
            source=SOURCE,
            expected=at_most(-octaves),
            measured=slopes[False],
            how=how,
            tolerance=between_them,
            unchecked=short,
        ),
        Claim(
            name="muP: octaves a doubling",
            statement="In muP the best learning rate is the same for narrow and wide networks.",
            source=SOURCE,
            expected=between(-octaves, octaves),
            measured=slopes[True],
            how=how,
            tolerance=between_them,
            unchecked=short,
        ),
        Claim(
            name="muP: log2 of the widest's loss / narrowest's",
            statement="In muP, at the best rate of the narrowest network, the loss of a wider network is not higher.",
            source="Yang et al. (2022), on wider networks being better throughout training",
            expected=at_most(0.0),
            measured=_at_the_narrow_rate(data),
            how="log2 ratio of mean losses over the last 20 batches, at the narrowest network's best rate",
            tolerance="none: better or equal",
        ),
    ]


def _at_the_narrow_rate(data: "xarray.Dataset") -> list[float]:
    losses = late_loss(data).sel({MUP: True})
    narrow, wide = losses.isel({WIDTH: 0}), losses.isel({WIDTH: -1})
    place = int(narrow.median("seed").argmin("lr"))
    return np.log2(wide / narrow).isel(lr=place).values.tolist()


@register.figure("mup", dims=["lr", WIDTH, MUP])
def draw(data: "xarray.Dataset") -> "Figure":
    """Final loss against rate, one line per width, best rates marked; one panel per parametrisation."""
    from matplotlib import colormaps

    from gdlab.figures.style import new_figure, style

    widths, best = data[WIDTH].values, best_rates(data).median("seed")
    losses = late_loss(data).median("seed")
    colours = [colormaps["viridis"](place) for place in np.linspace(0, 0.85, widths.size)]
    with style():
        figure = new_figure("double", 2.8)
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, is_mup, title in zip(panels, (False, True), ("standard parametrisation", "muP"), strict=True):
            for width, colour in zip(widths, colours, strict=True):
                one = losses.sel({MUP: is_mup, WIDTH: width})
                axes.plot(data["lr"].values, one.values, color=colour, label=f"width {width}")
                lowest = float(one.min())
                at = 2 ** float(best.sel({MUP: is_mup, WIDTH: width}))
                axes.plot(at, lowest, marker="v", color=colour, markeredgecolor="w", markersize=6)
            axes.set(xscale="log", yscale="log", title=title, xlabel="learning rate")
            axes.set_xscale("log", base=2)
        panels[0].set_ylabel("loss, last 20 of 100 steps")
        figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside right upper")
    return figure
