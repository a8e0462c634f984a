"""Formulas applied leaf by leaf: dtypes, refusals, and the square root with a derivative everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.rules.leafwise import divide, each, full, narrow, root, select, widen


def test_root_is_the_square_root_of_positive_numbers_and_zero_below():
    x = jnp.asarray([4.0, 2.0, jnp.inf, 0.0, -1.0, -jnp.inf])
    np.testing.assert_array_equal(root(x), [2.0, np.sqrt(np.float32(2)), np.inf, 0.0, 0.0, 0.0])


def test_root_keeps_nan():
    np.testing.assert_array_equal(root(jnp.asarray([jnp.nan, 4.0])), [np.nan, 2.0])


def test_root_has_the_derivative_zero_where_its_argument_is_not_positive():
    np.testing.assert_array_equal(jax.vmap(jax.grad(root))(jnp.asarray([4.0, 0.0, -1.0])), [0.25, 0.0, 0.0])


def test_divide_gives_the_other_value_for_a_denominator_of_zero_and_keeps_nan():
    one, denominators = jnp.asarray(1.0), jnp.asarray([4.0, 0.0, -2.0, jnp.nan])
    np.testing.assert_array_equal(divide(one, denominators, 7.0), [0.25, 7.0, 7.0, np.nan])
    slopes = jax.vmap(jax.grad(divide, argnums=1), (None, 0))(one, denominators[:3])
    np.testing.assert_array_equal(slopes, [-0.0625, 0.0, 0.0])


def test_each_computes_in_float32_and_returns_the_dtype_of_the_first_tree():
    """1 + 2^-10 is 1 in bfloat16 (8 bits of precision), so only wider arithmetic returns 2^-10."""
    first = {"w": jnp.ones(2, jnp.bfloat16), "b": jnp.ones((), jnp.float16)}
    found = each(lambda x, y, eps: (x + eps) - y, first, first, eps=2.0**-10)
    assert [leaf.dtype for leaf in jax.tree.leaves(found)] == [jnp.float16, jnp.bfloat16]
    assert all((leaf == 2.0**-10).all() for leaf in jax.tree.leaves(found))


def test_each_refuses_a_hyperparameter_with_axes_and_integer_leaves():
    with pytest.raises(ValueError, match=r"^lr must be one number, not an array of shape \(2,\); use jax.vmap"):
        each(lambda x, lr: x * lr, jnp.ones(2), lr=jnp.ones(2))
    with pytest.raises(TypeError, match="not int32"):
        each(lambda x: x, jnp.arange(3))


def test_full_widens_and_names_its_value_in_errors():
    found = full({"w": jnp.ones((2, 3), jnp.bfloat16)}, start=0.1)
    np.testing.assert_array_equal(found["w"], np.full((2, 3), 0.1, np.float32))
    assert found["w"].dtype == jnp.float32
    with pytest.raises(ValueError, match="start must be one number"):
        full(jnp.ones(2), start=jnp.ones(2))


def test_select_and_narrow_cast_to_the_dtypes_of_the_other_tree():
    half, wide = jnp.asarray([1.0, 3.0], jnp.bfloat16), jnp.asarray([2.5, 3.25])
    for condition, expected in ((True, wide), (False, half)):
        found = select(jnp.asarray(condition), wide, half)
        assert found.dtype == jnp.bfloat16
        np.testing.assert_array_equal(found, expected.astype(jnp.bfloat16))
    assert narrow(wide, half).dtype == jnp.bfloat16
    assert widen(half).dtype == jnp.float32
