"""Weight matching: the function is kept, and permutations are inverted."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.landscape import aligned
from tests.landscape.landscape_cases import network, vector

SIZES = (4, 6, 5, 3)


def outputs(params, x):
    layers = [params["layers"][name] for name in sorted(params["layers"])]
    for layer in layers[:-1]:
        x = jax.nn.relu(jnp.matmul(x, layer["kernel"]) + layer["bias"][None])
    return jnp.matmul(x, layers[-1]["kernel"]) + layers[-1]["bias"][None]


def whole(params):
    """With integer weights, so that float32 sums are exact in any order."""
    return jax.tree.map(lambda x: jnp.round(4 * x), params)


def shuffled(params, seed):
    """The same network with its hidden units in a random order."""
    rng = np.random.default_rng(seed)
    layers = params["layers"]
    rows, result = slice(None), {}
    for name in layers:
        width = layers[name]["bias"].shape[0]
        columns = rng.permutation(width) if name < len(layers) - 1 else np.arange(width)
        result[name] = {"bias": layers[name]["bias"][columns], "kernel": layers[name]["kernel"][rows][:, columns]}
        rows = columns
    return {"layers": result}


@pytest.mark.parametrize("seed", range(3))
def test_aligned_keeps_the_function_exactly(seed):
    params, reference = whole(network(seed, SIZES)), network(seed + 10, SIZES)
    x = jnp.asarray(np.random.default_rng(seed).integers(-5, 5, size=(20, 4)), jnp.float32)
    moved = aligned(params, reference)
    np.testing.assert_array_equal(outputs(moved, x), outputs(params, x))
    assert not np.array_equal(vector(moved), vector(params))
    assert jax.tree.structure(moved) == jax.tree.structure(params)


@pytest.mark.parametrize("seed", range(5))
def test_aligned_inverts_a_permutation(seed):
    reference = network(seed, SIZES)
    np.testing.assert_array_equal(vector(aligned(shuffled(reference, seed), reference)), vector(reference))
    np.testing.assert_array_equal(vector(aligned(reference, reference)), vector(reference))


@pytest.mark.parametrize("seed", range(3))
def test_aligned_is_optimal_for_one_hidden_layer(seed):
    params, reference = network(seed, (3, 5, 2)), network(seed + 20, (3, 5, 2))
    first, last = params["layers"][0], params["layers"][1]
    distances = []
    for order in map(list, itertools.permutations(range(5))):
        moved = {"layers": {
            0: {"bias": first["bias"][jnp.array(order)], "kernel": first["kernel"][:, jnp.array(order)]},
            1: {"bias": last["bias"], "kernel": last["kernel"][jnp.array(order)]},
        }}  # fmt: skip
        distances.append(np.linalg.norm(vector(moved) - vector(reference)))
    found = np.linalg.norm(vector(aligned(params, reference)) - vector(reference))
    assert found == pytest.approx(min(distances), rel=1e-6)


def test_aligned_of_deeper_networks_is_a_local_optimum():
    params, reference = network(1, (4, 8, 8, 8, 3)), network(2, (4, 8, 8, 8, 3))
    once = aligned(params, reference)
    away = lambda p: np.linalg.norm(vector(p) - vector(reference))
    assert away(once) < away(params)
    np.testing.assert_array_equal(vector(aligned(once, reference)), vector(once))


def test_aligned_refuses_invalid_arguments():
    params = network(0)
    with pytest.raises(ValueError, match="multilayer perceptron"):
        aligned({"w": jnp.ones((2, 2))}, params)
    with pytest.raises(ValueError, match="multilayer perceptron"):
        aligned(jnp.ones(3), params)
    with pytest.raises(ValueError, match="different shapes"):
        aligned(params, network(0, (6, 7, 4)))
    with pytest.raises(ValueError, match="not finite"):
        aligned(jax.tree.map(lambda x: x * jnp.nan, params), params)
