"""Kernels as matrices, factorisations one after the other, and inverse roots of symmetric matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gdlab.rules.matrices import inverse_root, matmul, orthonormal, unfold


@pytest.mark.parametrize(
    ("shape", "unfolded"),
    [((), (1, 1)), ((5,), (5, 1)), ((0,), (0, 1)), ((2, 3), (2, 3)), ((2, 2, 3, 4), (12, 4)), ((2, 0, 3), (0, 3))],
)
def test_unfold_keeps_the_last_axis_and_the_order_of_the_others(shape, unfolded):
    leaf = jnp.arange(np.prod(shape, dtype=int), dtype=jnp.float32).reshape(shape)
    assert unfold(leaf).shape == unfolded
    np.testing.assert_array_equal(unfold(leaf).ravel(), leaf.ravel())


def test_unfold_of_a_flax_convolution_multiplies_image_patches():
    """The output at one pixel is its patch [kh, kw, in], flattened, times the unfolded kernel."""
    layer = nnx.Conv(2, 5, (3, 3), padding="VALID", use_bias=False, rngs=nnx.Rngs(0))
    image = jax.random.normal(jax.random.key(0), (1, 3, 3, 2))
    with jax.numpy_dtype_promotion("standard"):
        expected = layer(image)
    np.testing.assert_allclose(image.reshape(1, 18) @ unfold(layer.kernel[...]), expected.reshape(1, 5), rtol=1e-4)


def test_matmul_multiplies_from_left_to_right():
    a, b, c = (np.random.default_rng(i).normal(size=shape) for i, shape in enumerate([(2, 3), (3, 4), (4, 2)]))
    with jax.enable_x64(True):
        np.testing.assert_allclose(matmul(*(jnp.asarray(x) for x in (a, b, c))), a @ b @ c, rtol=1e-12)


def test_orthonormal_of_mapped_matrices_equals_numpy():
    matrices = np.random.default_rng(0).normal(size=(5, 4, 3))
    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(orthonormal))(jnp.asarray(matrices))
    np.testing.assert_allclose(np.abs(found), [np.abs(np.linalg.qr(m)[0]) for m in matrices], rtol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("order", [2, 4])
def test_inverse_root_has_its_value_and_derivative_where_eigenvalues_are_equal(order):
    draw = np.random.default_rng(1).normal(size=(4, 4))
    basis, along = np.linalg.qr(draw)[0], draw + draw.T
    at = basis @ np.diag([2.0, 2.0, 2.0, 0.5]) @ basis.T
    value, slope = jax.jvp(lambda a: inverse_root(order, a), (jnp.asarray(at),), (jnp.asarray(along),))
    np.testing.assert_allclose(np.linalg.matrix_power(np.linalg.inv(value), order), at, rtol=1e-10, atol=1e-12)
    ahead, behind = (inverse_root(order, jnp.asarray(at + h * along)) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-7)
    back = jax.grad(lambda a: jnp.sum(along * inverse_root(order, a)))(jnp.asarray(at))
    np.testing.assert_allclose(np.sum(back * along), np.sum(along * slope), rtol=1e-8)


def test_inverse_root_is_zero_along_eigenvectors_of_eigenvalue_zero():
    np.testing.assert_allclose(inverse_root(2, jnp.diag(jnp.asarray([4.0, 0.0]))), [[0.5, 0.0], [0.0, 0.0]], atol=1e-7)
