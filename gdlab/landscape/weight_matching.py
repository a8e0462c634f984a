"""Weight matching: permuting the hidden units of a network to match another (Ainsworth, Hayase, Srinivasa, 2023).
https://arxiv.org/abs/2209.04836"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.types import Params


def aligned(params: Params, reference: Params) -> Params:
    """Permute the hidden units of a multilayer perceptron to match `reference`; the function does not change.

    Permutations P_l of the units of each hidden layer maximise the inner product of the weights of both networks,
    sum_l <V_l, P_(l-1)' W_l P_l> + <c_l, b_l P_l>, with W, b the kernels and biases of the params and V, c those of the
    reference. Inputs and outputs are not permuted. With one hidden layer this is an assignment problem, solved exactly;
    with more, each layer is solved with the others fixed until none changes, which gives a local maximum. The paper
    visits the layers in random order; here the order is from first to last.

    Runs on the host in NumPy and SciPy, in float64, and can't be traced.

    Args:
        params: {"layers": {l: {"bias": [outputs], "kernel": [inputs, outputs]}}}, as in `gdlab.problems.mlp`.
        reference: params of the same shapes.

    Raises:
        ValueError: params of another form; shapes that differ; weights that are not finite.
    """
    from scipy.optimize import linear_sum_assignment

    kernels, biases = _weights(params)
    wanted_kernels, wanted_biases = _weights(reference)
    if [w.shape for w in kernels] != [w.shape for w in wanted_kernels]:
        raise ValueError("params and reference have different shapes, so their units can't be matched")
    order: list[Any] = [np.arange(w.shape[1]) for w in kernels]

    def entering(layer: int) -> np.ndarray:
        return kernels[layer][order[layer - 1]] if layer else kernels[0]

    changed = True
    while changed:
        changed = False
        for layer in range(len(kernels) - 1):
            similarity = wanted_kernels[layer].T @ entering(layer) + np.outer(wanted_biases[layer], biases[layer])
            similarity += wanted_kernels[layer + 1] @ kernels[layer + 1][:, order[layer + 1]].T
            _, best = linear_sum_assignment(similarity, maximize=True)
            units = np.arange(len(best))
            gain = similarity[units, best].sum() - similarity[units, order[layer]].sum()
            # Ties differ by rounding only; accepting them could loop forever.
            if gain > 1e-12 * np.abs(similarity).max():
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
        raise ValueError("weights that are not finite can't be matched: for a diverged run use an earlier point")
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
        raise ValueError(
            'only params of a multilayer perceptron can be matched: {"layers": {l: {"bias": [m], "kernel": [n, m]}}}'
        )
    return names
