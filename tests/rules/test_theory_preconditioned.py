"""Closed forms of the rules that look at matrices or curvatures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.rules.adafactor import adafactor
from gdlab.rules.adagrad import adagrad
from gdlab.rules.adam import adam
from gdlab.rules.leafwise import normal
from gdlab.rules.matrices import inverse_root
from gdlab.rules.momentum_ema import momentum_ema
from gdlab.rules.muon import muon
from gdlab.rules.shampoo import shampoo
from gdlab.rules.soap import soap
from gdlab.rules.sophia import sophia
from tests.rules.references_preconditioned import soap as soap_by_hand


def drawn(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def turn(size, seed=0):
    return jnp.linalg.qr(drawn(size, size, seed=seed))[0]


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


@pytest.mark.parametrize("order", [2, 4])
def test_an_inverse_root_is_one_and_has_a_derivative_where_eigenvalues_meet(order):
    with jax.enable_x64(True):
        draw = np.random.default_rng(1).normal(size=(4, 4))
        basis, along = np.linalg.qr(draw)[0], draw + draw.T
        at = basis @ np.diag([2.0, 2.0, 2.0, 0.5]) @ basis.T
        value, slope = jax.jvp(lambda a: inverse_root(order, a), (jnp.asarray(at),), (jnp.asarray(along),))
        np.testing.assert_allclose(np.linalg.matrix_power(np.linalg.inv(value), order), at, rtol=1e-10, atol=1e-12)
        ahead, behind = (inverse_root(order, jnp.asarray(at + h * along)) for h in (1e-5, -1e-5))
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-7)
        back = jax.grad(lambda a: jnp.sum(along * inverse_root(order, a)))(jnp.asarray(at))
        np.testing.assert_allclose(np.sum(back * along), np.sum(along * slope), rtol=1e-8)


def test_an_inverse_root_leaves_out_what_is_taken_to_zero():
    np.testing.assert_allclose(inverse_root(2, jnp.diag(jnp.asarray([4.0, 0.0]))), [[0.5, 0.0], [0.0, 0.0]], atol=1e-7)


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_brings_the_singular_values_near_one_and_keeps_the_vectors(nesterov):
    values = np.asarray([8.0, 3.0, 1.0, 0.2], np.float32)
    left, right = turn(4, 1), turn(4, 2)
    u = first(muon(lr=0.5, nesterov=nesterov), left * values[None, :] @ right.T)
    inside = np.asarray(left.T @ u @ right) / -0.5
    assert ((np.diag(inside) > 0.68) & (np.diag(inside) < 1.21)).all()
    np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-5)


def test_muon_does_not_see_the_size_of_the_gradient():
    g = drawn(5, 3, 4)
    np.testing.assert_allclose(*(first(muon(eps=0.0), jnp.stack([a * s for a in g])) for s in (1.0, 1e4)), rtol=1e-3)
    np.testing.assert_array_equal(first(muon(eps=0.0), jnp.zeros((3, 4))), 0.0)


def test_muon_on_the_other_side_differs_by_the_shape_only():
    g = drawn(8, 2)
    np.testing.assert_allclose(2 * first(muon(), g), first(muon(), g.T).T, rtol=1e-5)


def test_muon_moves_a_vector_along_its_momentum_by_the_rate():
    g = drawn(7)
    u = first(muon(lr=0.5), g)
    length = np.linalg.norm(u)
    assert 0.68 < length / 0.5 < 1.21
    np.testing.assert_allclose(u / length, -g / np.linalg.norm(g), rtol=1e-5)


@pytest.mark.parametrize("rule", [muon(), shampoo(), soap(period=1), adafactor()])
def test_a_leaf_of_more_axes_is_a_matrix(rule):
    """To rounding: XLA may add up a product of another shape in another order."""
    g, x = drawn(3, 2, 3, 4), drawn(2, 3, 4, seed=5)
    tensor, _ = run(rule, x, g)
    flat, _ = run(rule, x.reshape(2, 12), g.reshape(3, 2, 12))
    np.testing.assert_allclose(tensor.reshape(3, 2, 12), flat, rtol=1e-5, atol=1e-6 * np.abs(flat).max())


def test_the_first_step_of_shampoo_is_the_nearest_orthogonal_matrix():
    g = drawn(4, 4)
    left, _, right = np.linalg.svd(g)
    np.testing.assert_allclose(first(shampoo(lr=0.5, eps=0.0), g), -0.5 * left @ right, atol=1e-4)


def test_shampoo_turns_with_the_axes():
    g, x, left, right = drawn(5, 3, 4), jnp.zeros((3, 4)), turn(3), turn(4)
    plain, _ = run(shampoo(eps=0.1), x, g)
    turned, _ = run(shampoo(eps=0.1), x, jnp.stack([left @ a @ right for a in g]))
    np.testing.assert_allclose(turned, jnp.stack([left @ u @ right for u in plain]), atol=1e-5)


def test_shampoo_of_a_vector_is_adagrad():
    g = drawn(6, 5)
    expected, _ = run(adagrad(lr=0.5, eps=0.0, initial_accumulator=0.25), g[0], g)
    np.testing.assert_allclose(run(shampoo(lr=0.5, eps=0.25), g[0], g)[0], expected, rtol=1e-5)


def test_soap_is_adam_until_its_bases_are_renewed_and_on_vectors_always():
    for g, same in ((drawn(6, 3, 4), 3), (drawn(6, 4), 6)):
        expected, _ = run(adam(lr=0.5, b1=0.8, b2=0.9), g[0], g)
        updates, _ = run(soap(lr=0.5, b1=0.8, b2=0.9, period=3), g[0], g)
        np.testing.assert_allclose(updates[:same], expected[:same], rtol=1e-5)
        assert same == 6 or (np.abs(updates[3:] - expected[3:]) > 1e-3).any()


@pytest.mark.parametrize("period", [1, 2, 5])
def test_soap_through_many_renewals(period):
    """The gradients of the registry's suite are too uneven for eigenvectors in single precision; these are not."""
    with jax.enable_x64(True):
        g = np.random.default_rng(3).normal(size=(12, 2, 3))
        numbers = {"lr": 0.1, "b1": 0.8, "b2": 0.9, "eps": 1e-3, "period": period}
        updates, _ = run(soap(**numbers), jnp.zeros((2, 3)), jnp.asarray(g))
        np.testing.assert_allclose(updates, soap_by_hand(g, np.zeros((2, 3)), **numbers), rtol=1e-9, atol=1e-11)


def test_adafactor_moves_by_a_share_of_the_leafs_own_size():
    g, x = jnp.outer(drawn(3, seed=1), drawn(4, seed=2)), drawn(3, 4)
    size = np.sqrt(np.mean(np.square(x)))
    # Of rank one, g^2 is what its row and column sums say, and the direction is the sign.
    np.testing.assert_allclose(first(adafactor(lr=0.5), g, x), -0.5 * size * np.sign(g), rtol=1e-4)
    np.testing.assert_allclose(first(adafactor(lr=0.5), 1e3 * g, 8 * x), -4 * size * np.sign(g), rtol=1e-4)
    np.testing.assert_allclose(first(adafactor(lr=0.5, least_scale=0.1), g, 0 * x), -0.05 * np.sign(g), rtol=1e-4)
    np.testing.assert_allclose(first(adafactor(lr=0.5, clip=0.25), g, x), -0.125 * size * np.sign(g), rtol=1e-4)


def test_adafactor_slows_down_and_keeps_sums_only():
    g, rule = jnp.ones((9, 3, 4)), adafactor(lr=0.5, least_scale=100.0)
    updates, state = run(rule, g[0], g)
    moved = -np.asarray(updates)[:, 0, 0]
    size = np.abs(1 - np.cumsum([0, *moved[:-1]]))
    np.testing.assert_allclose(moved, np.maximum(100, size) * np.minimum(0.5, np.arange(1, 10) ** -0.5), rtol=1e-4)
    assert (state.rows.shape, state.columns.shape) == ((3,), (4,))


@pytest.mark.parametrize("rule", [adafactor(), sophia()])
def test_parameters_are_asked_for(rule):
    g = jnp.ones((2, 3))
    with pytest.raises(ValueError, match="parameters"):
        rule.update(g, rule.init(g), grad_fn=lambda x: x, key=jax.random.key(0))


CURVATURE = jnp.asarray([4.0, 1.0, -2.0])


def bent(x):
    return CURVATURE * x


def test_sophia_is_newton_with_the_estimate_of_the_diagonal():
    """H is diagonal, so the estimate is z^2 times it: the step is lr x / z^2, cut at lr, and lr down a saddle."""
    x, key = jnp.asarray([0.1, -0.2, 0.3]), jax.random.key(3)
    u = first(sophia(lr=0.5, b1=0.0, b2=0.0, gamma=1.0), bent(x), x, grad_fn=bent, key=key)
    newton = x / normal(key, x) ** 2
    np.testing.assert_allclose(u, -0.5 * np.where(CURVATURE > 0, np.clip(newton, -1, 1), -np.sign(x)), rtol=1e-5)


def test_sophia_without_curvature_is_momentum_or_its_sign():
    g, x = drawn(5, 3), drawn(3, seed=1)
    m = -run(momentum_ema(lr=1.0, beta=0.8), x, g)[0]
    for eps, expected in ((1e3, -1e-3 * m), (0.0, -np.sign(m))):
        rule = sophia(lr=1.0, b1=0.8, gamma=0.0, eps=eps)
        state, found = rule.init(x), []
        for t in range(5):
            u, state = rule.update(g[t], state, x, grad_fn=bent, key=jax.random.key(t))
            found.append(u)
        np.testing.assert_allclose(jnp.stack(found), expected, rtol=1e-5)


def test_sophia_estimates_at_every_period():
    rule, x, seen = sophia(period=3), jnp.ones(3), []
    state = rule.init(x)
    for t in range(7):
        _, after = rule.update(bent(x), state, x, grad_fn=bent, key=jax.random.key(t))
        seen.append(bool((after.nu != state.nu).any()))
        state = after
    assert seen == [True, False, False, True, False, False, True]


def test_soap_keeps_each_variance_with_its_direction():
    """On a steady diagonal gradient the bases stay as they are, and every step is a sign, through all renewals."""
    g = jnp.stack([jnp.diag(jnp.asarray([10.0, 0.1]))] * 12)
    updates, _ = run(soap(lr=1.0, eps=1e-12, period=2), jnp.zeros((2, 2)), g)
    np.testing.assert_allclose(np.abs(updates[:, [0, 1], [0, 1]]), 1.0, rtol=1e-4)


@pytest.mark.parametrize("rule", [shampoo, soap])
def test_many_runs_at_once_come_to_an_end(rule):
    """Factorisations of 96 runs, of the rows and of the columns of two leaves, waited for each other once."""
    keys = jax.random.split(jax.random.key(0), 2)
    x = [jax.random.normal(key, (40, 24)) for key in keys]

    @jax.jit
    @jax.vmap
    def last(lr):
        made = rule(lr=lr) if rule is shampoo else rule(lr=lr, period=1)
        return run(made, x, [jnp.stack([leaf] * 40) for leaf in x])[0][0][-1]

    assert np.isfinite(last(jnp.geomspace(1e-3, 1.0, 96))).all()
