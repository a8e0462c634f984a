"""Random directions scaled to the weights: norms, draws, and invariance to rescaling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.landscape import at, cosine, random_plane

KEY = jax.random.key(0)


@pytest.fixture
def params():
    keys = jax.random.split(KEY, 3)
    kernel = 3 * jax.random.normal(keys[0], (6, 5))
    return {
        "dense": {"kernel": kernel.at[:, 2].set(0), "bias": jax.random.normal(keys[1], (5,))},
        "conv": 0.1 * jax.random.normal(keys[2], (3, 3, 5, 7)),
    }


def norms(leaf, axes):
    return np.sqrt((np.asarray(leaf, np.float64) ** 2).sum(axis=axes))


@pytest.mark.smoke
def test_random_direction_filter_norms(params):
    plane = random_plane(KEY, params)
    for direction in (plane.u, plane.v):
        for get, axes in ((lambda p: p["dense"]["kernel"], 0), (lambda p: p["conv"], (0, 1, 2))):
            np.testing.assert_allclose(norms(get(direction), axes), norms(get(params), axes), rtol=1e-5)
        np.testing.assert_array_equal(direction["dense"]["kernel"][:, 2], 0)
        np.testing.assert_array_equal(direction["dense"]["bias"], 0)


def test_random_direction_tensor_norms(params):
    plane = random_plane(KEY, params, "tensor", biases=True)
    for d, w in zip(jax.tree.leaves(plane.u), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(norms(d, None), norms(w, None), rtol=1e-5)
    filters = norms(plane.u["conv"], (0, 1, 2)) / norms(params["conv"], (0, 1, 2))
    assert filters.std() > 0.01


def test_random_direction_none_is_standard_normal():
    plane = random_plane(KEY, jnp.zeros((100, 300)), "none")
    for d in (plane.u, plane.v):
        assert abs(float(d.mean())) < 5 / np.sqrt(30_000)
        assert float(d.std()) == pytest.approx(1, abs=0.02)
    assert abs(float(cosine(plane))) < 5 / np.sqrt(30_000)


def test_random_direction_with_biases(params):
    bias = random_plane(KEY, params, biases=True).u["dense"]["bias"]
    np.testing.assert_allclose(norms(bias, None), norms(params["dense"]["bias"], None), rtol=1e-5)


def test_random_plane_filter_is_invariant_to_relu_rescaling():
    keys = jax.random.split(jax.random.key(1), 4)
    x, y = jax.random.normal(keys[0], (32, 8)), jax.random.normal(keys[1], (32, 3))
    net = (jax.random.normal(keys[2], (8, 16)), jax.random.normal(keys[3], (16, 3)))
    rescaled = (10 * net[0], net[1] / 10)

    def surface(params, normalise):
        plane = random_plane(KEY, params, normalise)

        def loss(a, b):
            one, two = at(plane, a, b)
            return jnp.mean((jax.nn.relu(x @ one) @ two - y) ** 2)

        grid = jnp.linspace(-1, 1, 7)
        return jax.vmap(jax.vmap(loss, (0, None)), (None, 0))(grid, grid)

    np.testing.assert_allclose(surface(net, "filter"), surface(rescaled, "filter"), rtol=1e-4)
    raw = surface(net, "none")
    assert float(jnp.abs(surface(rescaled, "none") / raw - 1).max()) > 0.5


def test_random_plane_jit_vmap_and_finite_gradients(params):
    keys = jax.random.split(KEY, 2)
    together = jax.jit(jax.vmap(lambda key: random_plane(key, params).u))(keys)
    for i, key in enumerate(keys):
        alone = random_plane(key, params).u
        for mapped, leaf in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(mapped[i], leaf, rtol=1e-5)
    square = lambda p: jnp.sum(random_plane(KEY, p).u["dense"]["kernel"] ** 2)
    gradient = jax.jit(jax.grad(square))(params)
    # The sum is |w|^2 over the kernel for every draw.
    np.testing.assert_allclose(gradient["dense"]["kernel"], 2 * params["dense"]["kernel"], rtol=1e-3, atol=1e-3)


def test_random_direction_refuses_biases_only():
    with pytest.raises(ValueError, match="direction would be zero"):
        random_plane(KEY, jnp.ones(5))
    assert random_plane(KEY, jnp.ones(5), "none").u.shape == (5,)
    with pytest.raises(ValueError, match="filter, layer, tensor, none"):
        random_plane(KEY, jnp.ones(5), "weights")
