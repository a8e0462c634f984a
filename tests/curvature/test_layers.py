"""Layers by name, and their diagonal blocks of the Hessian."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.curvature import dense, join, layer_products, layer_top, split
from gdlab.problems import mlp
from tests.curvature.curvature_cases import dense_hessian, network


class Pair(NamedTuple):
    w: object
    b: object


ONE = jnp.ones(1)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"layers": {0: {"bias": ONE, "kernel": ONE}, 1: {"bias": ONE}}}, ["layers/0", "layers/1"]),
        ({"w": ONE, "b": ONE}, ["b", "w"]),
        ([(ONE, ONE), (ONE, ONE)], ["0", "1"]),
        ([ONE, ONE], ["0", "1"]),
        (ONE, ["params"]),
        (Pair(ONE, ONE), ["w", "b"]),
        ({"conv": {0: Pair(ONE, ONE)}, "table": ONE}, ["conv/0", "table"]),
        ({"block": {"scale": ONE, "attention": {"q": {"kernel": ONE}}}}, ["block"]),
        ({"params": {"Dense_0": {"kernel": ONE}, "Dense_1": {"kernel": ONE}}}, ["params/Dense_0", "params/Dense_1"]),
        ({"a": {"w": ONE, "b": None}, "none": None}, ["a"]),
        ({}, []),
    ],
)
def test_split_makes_layers_of_outermost_nodes_with_an_array(params, names):
    assert list(split(params)) == names
    back = join(params, split(params))
    assert jax.tree.structure(back) == jax.tree.structure(params)


def test_split_of_an_mlp():
    params = jax.eval_shape(mlp(data="wine", widths=(4, 5)).init, jax.random.key(0))
    layers = split(params)
    assert list(layers) == ["layers/0", "layers/1", "layers/2"]
    assert layers["layers/1"]["kernel"].shape == (4, 5)
    # Numbers are in order, 2 before 10.
    deep = mlp(data="wine", widths=(2,) * 11)
    assert list(split(jax.eval_shape(deep.init, jax.random.key(0)))) == [f"layers/{i}" for i in range(12)]


trees = st.recursive(
    st.integers(0, 99),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(trees)
def test_join_inverts_split(tree):
    layers = split(tree)
    assert jax.tree.leaves(list(layers.values())) == jax.tree.leaves(tree)
    assert join(tree, layers) == tree
    doubled = {name: jax.tree.map(lambda x: 2 * x, layer) for name, layer in layers.items()}
    assert join(tree, doubled) == jax.tree.map(lambda x: 2 * x, tree)


def test_layers_refuse_unknown_and_duplicate_names():
    with pytest.raises(ValueError, match="no layer 'c'; there are a, b"):
        join({"a": ONE, "b": ONE}, {"c": ONE})
    with pytest.raises(ValueError, match="the same name: a/b, a/b"):
        split({"a": {"b": {"w": ONE}}, "a/b": ONE})


@pytest.mark.usefixtures("x64")
def test_layer_products_are_diagonal_blocks_of_the_hessian():
    outputs, criterion, params = network()
    loss = lambda params: criterion(outputs(params))
    h = dense_hessian(loss, params)

    def blocks(params):
        subtrees = split(params)
        return {name: dense(matvec, subtrees[name]) for name, matvec in layer_products(loss, params).items()}

    found = jax.jit(blocks)(params)
    assert list(found) == ["layer0", "layer1"]
    np.testing.assert_allclose(found["layer0"], h[:30, :30], atol=1e-12)
    np.testing.assert_allclose(found["layer1"], h[30:, 30:], atol=1e-12)
    run = lambda params: layer_top(loss, params, 2, jax.random.key(0), which="smallest")
    extremes = jax.jit(run)(params)
    for name, block in found.items():
        np.testing.assert_allclose(extremes[name].values, np.linalg.eigvalsh(block)[:2], atol=1e-10)
        assert extremes[name].values[0] >= np.linalg.eigvalsh(h)[0] - 1e-12
    assert extremes["layer1"].vectors["w"].shape == (2, 6, 3)
