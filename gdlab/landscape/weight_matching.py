"""The hidden units of one network put in the order of another's (Ainsworth, Hayase, Srinivasa, 2023).
https://arxiv.org/abs/2209.04836"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.types import Params


def aligned(params: Params, reference: Params) -> Params:
    """The same function of a multilayer perceptron, its hidden units permuted to lie near `reference`.

    Permutations P_l of the units of each hidden layer are chosen to maximise the inner product of all weights with the
    reference's, sum_l <V_l, P_(l-1)' W_l P_l> + <c_l, b_l P_l> (W, b: the params' kernels and biases; V, c: the
    reference's; none of inputs and outputs is moved). With one hidden layer this is an assignment problem and its
    maximum is found; with more, each layer in turn is solved with the others held, until none changes: a local maximum.
    The paper takes the layers in random order, here they are taken from first to last.

    Not traced: it runs in NumPy and SciPy, on the host, in float64.

    Args:
        params: {"layers": {l: {"bias": [outputs], "kernel": [inputs, outputs]}}}, as `gdlab.problems.mlp` has them.
        reference: likewise, of the same shapes.

    Raises:
        ValueError: other params; shapes that differ; weights that are not finite.
    """
    from scipy.optimize import linear_sum_assignment

    kernels, biases = _weights(params)
    wanted_kernels, wanted_biases = _weights(reference)
    if [w.shape for w in kernels] != [w.shape for w in wanted_kernels]:
        raise ValueError("networks of different shapes can't be matched")
    order: list[Any] = [np.arange(w.shape[1]) for w in kernels]

    def entering(layer: int) -> np.ndarray:
        return kernels[layer][order[layer - 1]] if layer else kernels[0]

    changed = True
    while changed:
        changed = False
        for layer in range(len(kernels) - 1):
            likeness = wanted_kernels[layer].T @ entering(layer) + np.outer(wanted_biases[layer], biases[layer])
            likeness += wanted_kernels[layer + 1] @ kernels[layer + 1][:, order[layer + 1]].T
            _, best = linear_sum_assignment(likeness, maximize=True)
            units = np.arange(len(best))
            gain = likeness[units, best].sum() - likeness[units, order[layer]].sum()
            # An exchange of equals is no gain: rounding alone would go on forever.
            if gain > 1e-12 * np.abs(likeness).max():
                order[layer], changed = best, True
    return _permuted(params, order)


def _permuted(params: Params, order: list[Any]) -> Params:
    layers = {}
    for number, name in enumerate(_names(params)):
        kernel, bias = params["layers"][name]["kernel"], params["layers"][name]["bias"]
        rows = order[number - 1] if number else slice(None)
        layers[name] = {"bias": bias[order[number]], "kernel": kernel[rows][:, order[number]]}
    return {"layers": layers}


def _weights(params: Params) -> tuple[list[np.ndarray], list[np.ndarray]]:
    names = _names(params)
    kernels = [np.asarray(params["layers"][name]["kernel"], np.float64) for name in names]
    biases = [np.asarray(params["layers"][name]["bias"], np.float64) for name in names]
    if not all(np.isfinite(leaf).all() for leaf in (*kernels, *biases)):
        raise ValueError("weights that are not finite can't be matched: of a diverged run take an earlier point")
    return kernels, biases


def _names(params: Params) -> list[Any]:
    """The names of the layers from first to last."""
    try:
        names = sorted(params["layers"], key=int)
        shapes = [jnp.shape(params["layers"][name]["kernel"]) for name in names]
        fits = all(
            jnp.shape(params["layers"][n]["bias"]) == s[1:] and len(s) == 2 for n, s in zip(names, shapes, strict=True)
        )
        known = set(params) == {"layers"} and len(jax.tree.leaves(params)) == 2 * len(names)
    except (TypeError, KeyError, IndexError, ValueError, AttributeError):
        known = fits = False
    if not (known and fits):
        raise ValueError('only a multilayer perceptron is matched: {"layers": {l: {"bias": [m], "kernel": [n, m]}}}')
    return names
