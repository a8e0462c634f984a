"""How much of a batch's gradient is noise."""

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import dot, precision
from gdlab.rules.leafwise import widen
from gdlab.training.probes.per_example import variance
from gdlab.types import Array, Step


@register.probe(
    "noise_scale",
    source="McCandlish, Kaplan, Amodei & the OpenAI Dota team, An empirical model of large-batch training, 2018",
    url="https://arxiv.org/abs/1812.06162",
    cost="1, of B examples one by one",
)
def noise_scale(step: Step) -> Array:
    """The simple noise scale tr(Sigma) / |G|^2, in examples: the size of batch at which noise and signal are equal.

    Both are estimated from the gradients g_i of the B examples of the batch, without bias: with their mean g,
    tr(Sigma) = 1 / (B - 1) sum_i |g_i - g|^2 and |G|^2 = |g|^2 - tr(Sigma) / B. The ratio itself is biased; where the
    noise outweighs the gradient, the estimate of |G|^2 and with it the scale can be negative, and says only that the
    batch is too small to tell. NaN for one example. The batch counts as a sample of the examples even where it is all.

    Source: McCandlish et al. (2018), Section 2.2 and Appendix A.1 (with batches of 1 and B).

    Raises:
        ValueError: a problem without data.
    """
    spread, count = variance(step)
    noise = jnp.stack([jnp.sum(leaf, dtype=precision(spread)) for leaf in jax.tree.leaves(spread)]).sum()
    return noise / (dot(step.grads, step.grads) - noise / count)


@register.probe(
    "gradient_signal_ratio",
    source="Liu, Bai, Jiang, Chen & Wang, Understanding why neural networks generalize well through GSNR of "
    "parameters, 2020",
    url="https://arxiv.org/abs/2001.07384",
    cost="1, of B examples one by one",
)
def gradient_signal_ratio(step: Step) -> Array:
    """The gradient's signal-to-noise ratio: the mean over parameters of E[g]^2 / Var[g], over the batch's examples.

    E[g] is the step's gradient and Var the unbiased variance of the examples' own. Parameters that no example moves
    (0 / 0, a dead unit's, say) are not counted; one that all move alike is infinite. NaN for one example.

    Source: Liu et al. (2020), Definition 1.

    Raises:
        ValueError: a problem without data.
    """
    spread, _ = variance(step)
    pairs = list(zip(jax.tree.leaves(widen(step.grads)), jax.tree.leaves(spread), strict=True))
    moved = [~((g == 0) & (v == 0)) for g, v in pairs]
    ratios = [jnp.sum(jnp.where(m, g**2 / jnp.where(m, v, 1), 0)) for m, (g, v) in zip(moved, pairs, strict=True)]
    dtype = precision(spread)
    counted = jnp.stack([jnp.sum(m, dtype=dtype) for m in moved]).sum()
    return jnp.stack([ratio.astype(dtype) for ratio in ratios]).sum() / counted
