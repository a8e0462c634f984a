"""Closed-form properties of the rules that use matrices or curvature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gdlab.rules.adafactor import adafactor
from gdlab.rules.adagrad import adagrad
from gdlab.rules.adam import adam
from gdlab.rules.leafwise import normal
from gdlab.rules.momentum_ema import momentum_ema
from gdlab.rules.muon import muon
from gdlab.rules.shampoo import shampoo
from gdlab.rules.soap import soap
from gdlab.rules.sophia import sophia
from tests.rules.references_preconditioned import soap as soap_by_hand


def random_array(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def rotation(size, seed=0):
    return jnp.linalg.qr(random_array(size, size, seed=seed))[0]


def run(rule, x, grads):
    """The updates on given gradients, and the last state."""

    def step(carry, g):
        x, state = carry
        updates, state = rule.update(g, state, x)
        return (jax.tree.map(jnp.add, x, updates), state), updates

    (_, state), updates = jax.lax.scan(step, (x, rule.init(x)), grads)
    return updates, state


def first(rule, g, x=None, **extra):
    return rule.update(g, rule.init(g), x, **extra)[0]


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_makes_singular_values_about_one_and_keeps_the_vectors(nesterov):
    values = np.asarray([8.0, 3.0, 1.0, 0.2], np.float32)
    left, right = rotation(4, 1), rotation(4, 2)
    u = first(muon(lr=0.5, nesterov=nesterov), left * values[None, :] @ right.T)
    inside = np.asarray(left.T @ u @ right) / -0.5
    assert ((np.diag(inside) > 0.68) & (np.diag(inside) < 1.21)).all()
    np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-5)


def test_muon_does_not_depend_on_the_size_of_the_gradient():
    g = random_array(5, 3, 4)
    np.testing.assert_allclose(*(first(muon(eps=0.0), jnp.stack([a * s for a in g])) for s in (1.0, 1e4)), rtol=1e-3)
    np.testing.assert_array_equal(first(muon(eps=0.0), jnp.zeros((3, 4))), 0.0)


def test_muon_of_the_transpose_differs_by_the_scale_of_the_shape():
    g = random_array(8, 2)
    np.testing.assert_allclose(2 * first(muon(), g), first(muon(), g.T).T, rtol=1e-5)


def test_muon_moves_a_vector_by_about_lr_along_its_momentum():
    g = random_array(7)
    u = first(muon(lr=0.5), g)
    length = np.linalg.norm(u)
    assert 0.68 < length / 0.5 < 1.21
    np.testing.assert_allclose(u / length, -g / np.linalg.norm(g), rtol=1e-5)


@pytest.mark.parametrize("rule", [muon(), shampoo(), soap(period=1), adafactor()])
def test_a_convolution_kernel_is_trained_as_the_matrix_of_patches_by_outputs(rule):
    """Equal to rounding: XLA may sum a product of another shape in another order."""
    g, x = random_array(3, 2, 2, 3, 4), random_array(2, 2, 3, 4, seed=5)
    kernel, _ = run(rule, x, g)
    flat, _ = run(rule, x.reshape(12, 4), g.reshape(3, 12, 4))
    np.testing.assert_allclose(kernel.reshape(3, 12, 4), flat, rtol=1e-5, atol=1e-6 * np.abs(flat).max())


def test_muon_of_a_flax_convolution_kernel_has_singular_values_about_one():
    """The update as a map from image patches [kh kw in] to outputs, as flax multiplies them."""
    g = random_array(*nnx.Conv(4, 6, (3, 3), rngs=nnx.Rngs(0)).kernel.shape)
    values = np.linalg.svd(np.asarray(first(muon(lr=1.0), g)).reshape(36, 6), compute_uv=False)
    assert (values > 0.68).all()
    assert (values < 1.21).all()


def test_shampoo_takes_a_first_step_along_the_nearest_orthogonal_matrix():
    g = random_array(4, 4)
    left, _, right = np.linalg.svd(g)
    np.testing.assert_allclose(first(shampoo(lr=0.5, eps=0.0), g), -0.5 * left @ right, atol=1e-4)


def test_shampoo_commutes_with_rotations_of_rows_and_columns():
    g, x, left, right = random_array(5, 3, 4), jnp.zeros((3, 4)), rotation(3), rotation(4)
    plain, _ = run(shampoo(eps=0.1), x, g)
    rotated, _ = run(shampoo(eps=0.1), x, jnp.stack([left @ a @ right for a in g]))
    np.testing.assert_allclose(rotated, jnp.stack([left @ u @ right for u in plain]), atol=1e-5)


def test_shampoo_of_a_vector_equals_adagrad():
    g = random_array(6, 5)
    expected, _ = run(adagrad(lr=0.5, eps=0.0, initial_accumulator=0.25), g[0], g)
    np.testing.assert_allclose(run(shampoo(lr=0.5, eps=0.25), g[0], g)[0], expected, rtol=1e-5)


def test_soap_equals_adam_before_its_first_new_bases_and_on_vectors():
    for g, same in ((random_array(6, 3, 4), 3), (random_array(6, 4), 6)):
        expected, _ = run(adam(lr=0.5, b1=0.8, b2=0.9), g[0], g)
        updates, _ = run(soap(lr=0.5, b1=0.8, b2=0.9, period=3), g[0], g)
        np.testing.assert_allclose(updates[:same], expected[:same], rtol=1e-5)
        assert same == 6 or (np.abs(updates[3:] - expected[3:]) > 1e-3).any()


@pytest.mark.parametrize("period", [1, 2, 5])
def test_soap_equals_numpy_through_many_new_bases(period):
    """On gradients of equal scale; those of test_rule_values span six orders of magnitude."""
    with jax.enable_x64(True):
        g = np.random.default_rng(3).normal(size=(12, 2, 3))
        numbers = {"lr": 0.1, "b1": 0.8, "b2": 0.9, "eps": 1e-3, "period": period}
        updates, _ = run(soap(**numbers), jnp.zeros((2, 3)), jnp.asarray(g))
        np.testing.assert_allclose(updates, soap_by_hand(g, np.zeros((2, 3)), **numbers), rtol=1e-9, atol=1e-11)


def test_adafactor_takes_steps_relative_to_the_size_of_the_leaf():
    g, x = jnp.outer(random_array(3, seed=1), random_array(4, seed=2)), random_array(3, 4)
    size = np.sqrt(np.mean(np.square(x)))
    # g^2 has rank one, so its row and column sums determine it, and the direction is the sign.
    np.testing.assert_allclose(first(adafactor(lr=0.5), g, x), -0.5 * size * np.sign(g), rtol=1e-4)
    np.testing.assert_allclose(first(adafactor(lr=0.5), 1e3 * g, 8 * x), -4 * size * np.sign(g), rtol=1e-4)
    np.testing.assert_allclose(first(adafactor(lr=0.5, least_scale=0.1), g, 0 * x), -0.05 * np.sign(g), rtol=1e-4)
    np.testing.assert_allclose(first(adafactor(lr=0.5, clip=0.25), g, x), -0.125 * size * np.sign(g), rtol=1e-4)


def test_adafactor_decays_its_step_size_and_stores_only_sums():
    g, rule = jnp.ones((9, 3, 4)), adafactor(lr=0.5, least_scale=100.0)
    updates, state = run(rule, g[0], g)
    moved = -np.asarray(updates)[:, 0, 0]
    size = np.abs(1 - np.cumsum([0, *moved[:-1]]))
    np.testing.assert_allclose(moved, np.maximum(100, size) * np.minimum(0.5, np.arange(1, 10) ** -0.5), rtol=1e-4)
    assert (state.rows.shape, state.columns.shape) == ((3,), (4,))


CURVATURE = jnp.asarray([4.0, 1.0, -2.0])


def bowl_grad(x):
    return CURVATURE * x


def test_sophia_is_a_clipped_newton_step_with_the_estimated_diagonal():
    """H is diagonal, so the estimate is z^2 H and the step lr x / z^2, clipped to lr; lr along negative curvature."""
    x, key = jnp.asarray([0.1, -0.2, 0.3]), jax.random.key(3)
    u = first(sophia(lr=0.5, b1=0.0, b2=0.0, gamma=1.0), bowl_grad(x), x, grad_fn=bowl_grad, key=key)
    newton = x / normal(key, x) ** 2
    np.testing.assert_allclose(u, -0.5 * np.where(CURVATURE > 0, np.clip(newton, -1, 1), -np.sign(x)), rtol=1e-5)


def test_sophia_without_curvature_equals_momentum_or_its_sign():
    g, x = random_array(5, 3), random_array(3, seed=1)
    m = -run(momentum_ema(lr=1.0, beta=0.8), x, g)[0]
    for eps, expected in ((1e3, -1e-3 * m), (0.0, -np.sign(m))):
        rule = sophia(lr=1.0, b1=0.8, gamma=0.0, eps=eps)
        state, found = rule.init(x), []
        for t in range(5):
            u, state = rule.update(g[t], state, x, grad_fn=bowl_grad, key=jax.random.key(t))
            found.append(u)
        np.testing.assert_allclose(jnp.stack(found), expected, rtol=1e-5)


def test_sophia_estimates_the_curvature_once_per_period():
    rule, x, seen = sophia(period=3), jnp.ones(3), []
    state = rule.init(x)
    for t in range(7):
        _, after = rule.update(bowl_grad(x), state, x, grad_fn=bowl_grad, key=jax.random.key(t))
        seen.append(bool((after.nu != state.nu).any()))
        state = after
    assert seen == [True, False, False, True, False, False, True]


def test_soap_keeps_each_second_moment_with_its_eigenvector():
    """On a constant diagonal gradient the bases do not change, and every step is the sign."""
    g = jnp.stack([jnp.diag(jnp.asarray([10.0, 0.1]))] * 12)
    updates, _ = run(soap(lr=1.0, eps=1e-12, period=2), jnp.zeros((2, 2)), g)
    np.testing.assert_allclose(np.abs(updates[:, [0, 1], [0, 1]]), 1.0, rtol=1e-4)


@pytest.mark.parametrize("rule", [shampoo, soap])
def test_shampoo_and_soap_of_96_mapped_runs_do_not_deadlock(rule):
    """Two batched factorisations at a time can block all threads of XLA's CPU backend (`gdlab.rules.matrices`)."""
    keys = jax.random.split(jax.random.key(0), 2)
    x = [jax.random.normal(key, (40, 24)) for key in keys]

    @jax.jit
    @jax.vmap
    def last(lr):
        made = rule(lr=lr) if rule is shampoo else rule(lr=lr, period=1)
        return run(made, x, [jnp.stack([leaf] * 40) for leaf in x])[0][0][-1]

    assert np.isfinite(last(jnp.geomspace(1e-3, 1.0, 96))).all()
