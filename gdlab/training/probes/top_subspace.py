"""The share of the gradient in the top eigenspace of the Hessian."""

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.curvature import top
from gdlab.curvature.flat_operator import flat
from gdlab.pytrees import dot
from gdlab.training.probes.examples import Data, examples, hessian
from gdlab.types import Array, Probe, Step


@register.probe(
    "top_subspace_share",
    factory=True,
    source="Gur-Ari, Roberts & Dyer, Gradient descent happens in a tiny subspace, 2018",
    url="https://arxiv.org/abs/1812.04754",
    cost="2 * (steps + k)",
)
def top_subspace_share(k: int = 10, steps: int = 40, data: Data = "batch") -> Probe:
    """The share of the squared gradient norm in the top subspace: sum_i (v_i'g)^2 / |g|^2, between 0 and 1.

    v_i are the unit eigenvectors of the k algebraically largest eigenvalues of the Hessian (of all that are
    found, if fewer than k are distinct), computed by `steps` Lanczos steps from a random start (`gdlab.curvature.top`).
    In the paper k is the number of classes. With data="all" both g and H are computed on all data. NaN if g is zero.

    Source: Gur-Ari, Roberts & Dyer (2018), Section 2, f_top.

    Raises:
        ValueError: k below 1 or above `steps`; an unknown `data`, or "all" for an endless stream.
    """
    if not 1 <= k <= steps:
        raise ValueError(f"k must be between 1 and steps={steps}, not {k}")

    def measure(step: Step) -> Array:
        on = examples(step, data)
        grads = step.grads if data == "batch" else step.problem.value_and_grad(step.params, on)[1]
        found = top(hessian(step, data), step.params, k, step.key, steps=steps)
        operator = flat(lambda v: v, step.params)
        rows = jax.vmap(operator.ravel)(found.vectors)
        g = operator.ravel(grads)
        lengths = jnp.matmul(rows, g, precision=jax.lax.Precision.HIGHEST)
        # Missing eigenvalues have NaN rows. The first is missing only if the matrix is not finite.
        missing = jnp.isnan(found.values).at[0].set(False)
        return jnp.sum(jnp.where(missing, 0, lengths) ** 2) / dot(g, g)

    return measure
