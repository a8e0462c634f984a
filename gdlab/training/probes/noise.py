"""Signal and noise of the gradient of a batch."""

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
    cost="1, computed as B gradients of one example",
)
def noise_scale(step: Step) -> Array:
    """The simple noise scale tr(Sigma) / |G|^2, in examples: the batch size at which noise and signal are equal.

    Both terms have unbiased estimates from the gradients g_i of the B examples of the batch, with mean g:
    tr(Sigma) = 1 / (B - 1) sum_i |g_i - g|^2 and |G|^2 = |g|^2 - tr(Sigma) / B. The ratio is biased. If the noise is
    larger than the gradient, the estimate of |G|^2 and the scale can be negative; then the batch is too small to
    estimate it. NaN for one example. The batch is treated as a random sample, even if it holds all examples.

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
    cost="1, computed as B gradients of one example",
)
def gradient_signal_ratio(step: Step) -> Array:
    """The gradient signal-to-noise ratio: the mean over parameters of E[g]^2 / Var[g], over the examples of the batch.

    E[g] is the gradient of the step and Var the unbiased variance of the gradients of single examples. Parameters whose
    gradients are all zero (0 / 0, as in a dead unit) are not counted; a parameter with equal gradients for all examples
    makes the ratio infinite. NaN for one example.

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
