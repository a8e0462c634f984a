"""Wrappers and `chain`: closed forms, limits, and use inside optax and flax."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

from gdlab import Problem
from gdlab.rules import adam, adamw, gd
from gdlab.rules.accumulate import accumulate
from gdlab.rules.add_noise import add_noise
from gdlab.rules.average import average
from gdlab.rules.centralise import centralise
from gdlab.rules.chain import chain
from gdlab.rules.clip_by_leaf_norm import clip_by_leaf_norm
from gdlab.rules.clip_by_norm import clip_by_norm
from gdlab.rules.clip_by_value import clip_by_value
from gdlab.rules.ema_of_params import ema_of_params
from gdlab.rules.evaluation import evaluation_point
from gdlab.rules.lookahead import lookahead
from gdlab.rules.reduce_on_plateau import reduce_on_plateau
from gdlab.rules.sam import sam
from gdlab.rules.weight_decay import weight_decay
from gdlab.rules.wrapping import rule_factory
from gdlab.training.descent import descend
from tests.rules.rule_cases import trajectory
from tests.rules.rule_problem import extras
from tests.rules.wrapper_cases import TREE, G, X, same, updates

# --- gradients -----------------------------------------------------------------------------------------------------


def test_clipping_bounds_large_gradients_and_keeps_small_ones():
    draw = np.random.default_rng(0)
    for size in (1e-3, 0.3, 1.0, 3.0, 1e15):
        g = jax.tree.map(lambda x, size=size: jnp.asarray(size * draw.normal(size=x.shape), jnp.float32), TREE)
        whole = clip_by_norm(lr=1.0, max_norm=2.0).update(g, gd().init(g))[0]
        leafy = clip_by_leaf_norm(lr=1.0, max_norm=2.0).update(g, gd().init(g))[0]
        value = clip_by_value(lr=1.0, max_value=2.0).update(g, gd().init(g))[0]
        assert optax.tree.norm(whole) <= 2.0 + 1e-6
        leaves = list(zip(*map(jax.tree.leaves, (g, leafy, value)), strict=True))
        assert all(np.linalg.norm(leaf) <= 2.0 + 1e-6 for _, leaf, _ in leaves)
        assert all(np.max(np.abs(leaf)) <= 2.0 for _, _, leaf in leaves)
        if optax.tree.norm(g) < 2.0:
            same(whole, jax.tree.map(jnp.negative, g))
        for before, by_norm, by_value in leaves:
            if np.linalg.norm(before) <= 2.0:
                np.testing.assert_array_equal(by_norm, -before)
            inside = np.abs(before) <= 2.0
            np.testing.assert_array_equal(np.where(inside, by_value, 0), np.where(inside, -before, 0))


def test_clip_by_norm_uses_the_norm_of_the_tree_and_clip_by_leaf_norm_of_the_leaf():
    g = {"a": jnp.asarray([3.0, 0.0]), "b": jnp.asarray([0.0, 4.0])}
    whole, _ = clip_by_norm(lr=1.0, max_norm=1.0).update(g, gd().init(g))
    leafy, _ = clip_by_leaf_norm(lr=1.0, max_norm=3.5).update(g, gd().init(g))
    same(whole, {"a": jnp.asarray([-0.6, 0.0]), "b": jnp.asarray([0.0, -0.8])})
    same(leafy, {"a": jnp.asarray([-3.0, 0.0]), "b": jnp.asarray([0.0, -3.5])})


def test_weight_decay_is_decoupled_decay_for_gradient_descent_only():
    shrink = chain(gd(lr=0.1), optax.add_decayed_weights(-0.1 * 0.5))
    same(updates(weight_decay(lr=0.1, l2=0.5)), updates(shrink), rtol=1e-5)
    coupled = updates(weight_decay(of="adam", lr=0.1, l2=0.5))
    decoupled = updates(adamw(lr=0.1, weight_decay=0.5))
    assert np.max(np.abs(coupled - decoupled)) > 0.01
    # Adam's first step is the sign of its gradient: a small decay alone moves as far as a large one.
    zero = jnp.zeros_like(X)
    for l2 in (1e-3, 1.0):
        rule = weight_decay(of="adam", lr=0.1, l2=l2, eps=0.0)
        same(rule.update(zero, rule.init(X), X)[0], -0.1 * jnp.sign(X), rtol=1e-5)


def test_centralise_keeps_the_mean_of_each_outputs_weights():
    g = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3, 4, 5)), jnp.float32)
    last, _ = centralise(of="gd").update(g, gd().init(g))
    first, _ = centralise(of="gd", outputs="first").update(g, gd().init(g))
    np.testing.assert_allclose(np.mean(last, (0, 1, 2)), 0, atol=1e-7)
    np.testing.assert_allclose(np.mean(first, (1, 2, 3)), 0, atol=1e-7)
    assert np.abs(np.mean(last, (1, 2, 3))).max() > 1e-3
    same(centralise(of="gd", lr=1.0).update(g[0, 0, 0], gd().init(g))[0], -g[0, 0, 0])
    once = updates(centralise(lr=1.0))
    same(updates(centralise(lr=1.0), grads=-once), once, rtol=1e-5)  # a projection


def test_add_noise_has_the_papers_variance_and_is_independent_of_inner_noise():
    zero = jnp.zeros((400, 500))
    rule = add_noise(lr=1.0, eta=0.3, gamma=0.55)
    state = rule.init(zero)
    for t in range(4):
        moved, state = rule.update(zero, state, key=jax.random.key(t))
        np.testing.assert_allclose(np.var(moved), 0.3 / (1 + t) ** 0.55, rtol=0.02)
        np.testing.assert_allclose(np.mean(moved), 0, atol=0.01)
    twice = add_noise(of=functools.partial(add_noise, of="gd"), lr=1.0, eta=0.5)
    alone = twice.update(zero, twice.init(zero), key=jax.random.key(0))[0]
    np.testing.assert_allclose(np.var(alone), 0.5 + 0.01, rtol=0.02)  # not (sqrt 0.5 + sqrt 0.01)^2 = 0.65


# --- averages and slow weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["gd", "adam"])
def test_lookahead_with_pull_one_is_the_inner_rule(of):
    inner = rule_factory(of)
    same(updates(lookahead(of=of, lr=0.1, period=3, pull=1.0)), updates(inner(lr=0.1)), atol=5e-7)


def test_lookahead_with_period_one_is_the_inner_rule_at_a_smaller_lr():
    same(updates(lookahead(of="gd", lr=0.4, period=1, pull=0.25)), updates(gd(lr=0.1)), atol=5e-7)


def test_lookahead_is_evaluated_at_the_slow_weights():
    """On a parabola of curvature c, the slow weights shrink by 1 - pull + pull (1 - lr c)^k in k steps."""
    bowl = Problem(init=lambda key: jnp.ones(()), loss=lambda x, batch: 0.5 * 2.0 * x**2)
    rule = lookahead(of="gd", lr=0.1, period=3, pull=0.5)
    for steps, slow in ((2, 1.0), (3, 0.5 + 0.5 * 0.8**3), (7, (0.5 + 0.5 * 0.8**3) ** 2)):
        trace = descend(bowl, rule, jax.random.key(0), steps=steps)
        np.testing.assert_allclose(trace.outcome.final_loss, slow**2, rtol=1e-5)
        np.testing.assert_allclose(trace.params, slow * 0.8 ** (steps % 3), rtol=1e-5)


@pytest.mark.parametrize("start", [0, 1, 7, 40])
def test_average_on_a_parabola_is_the_mean_of_the_iterates(start):
    """x_t = r^t, so the mean of x_(s+1) ... x_T is r^(s+1) (1 - r^(T-s)) / ((1 - r) (T - s)); for T <= s it is x_T."""
    r, steps = 0.8, 30
    bowl = Problem(init=lambda key: jnp.ones(()), loss=lambda x, batch: 0.5 * x**2)
    trace = descend(bowl, average(of="gd", lr=1 - r, start=start), jax.random.key(0), steps=steps)
    n = steps - start
    mean = r ** (start + 1) * (1 - r**n) / ((1 - r) * n) if n > 0 else r**steps
    np.testing.assert_allclose(trace.params, r**steps, rtol=1e-4)
    np.testing.assert_allclose(trace.outcome.final_loss, 0.5 * mean**2, rtol=1e-4)


def test_ema_of_params_on_a_parabola_and_its_limits():
    """The mean of x_1 ... x_T with weights d^(T-t): the plain mean for d -> 1, the last iterate for d = 0."""
    r, d, steps = 0.8, 0.9, 20
    bowl = Problem(init=lambda key: jnp.ones(()), loss=lambda x, batch: 0.5 * x**2)

    def evaluated(rule):
        trace = descend(bowl, rule, jax.random.key(0), steps=steps)
        return float(jnp.sqrt(2 * trace.outcome.final_loss))

    t = np.arange(1, steps + 1)
    by_hand = np.sum(d ** (steps - t) * r**t) / np.sum(d ** (steps - t))
    np.testing.assert_allclose(evaluated(ema_of_params(of="gd", lr=1 - r, ema_decay=d)), by_hand, rtol=1e-5)
    flat = evaluated(ema_of_params(of="gd", lr=1 - r, ema_decay=0.9999))
    np.testing.assert_allclose(flat, evaluated(average(of="gd", lr=1 - r)), rtol=2e-3)
    np.testing.assert_allclose(evaluated(ema_of_params(of="gd", lr=1 - r, ema_decay=0.0)), r**steps, rtol=1e-5)


def test_averages_before_the_first_step_are_the_starting_point():
    for rule in (average(), ema_of_params(), lookahead()):
        same(evaluation_point(rule.init(X), X), X)


def test_average_reduces_the_variance_of_noisy_gradients():
    """For constant lr the last iterate has variance lr s^2 / (2 - lr), and the mean of T iterates about s^2 / T."""
    steps, runs, lr = 2000, 400, 0.5
    noise = jax.random.normal(jax.random.key(0), (steps, runs))
    rule = average(of="gd", lr=lr)

    def step(carry, e):
        x, state = carry
        moved, state = rule.update(x + e, state, x)
        return (x + moved, state), None

    x = jnp.zeros(runs)
    (x, state), _ = jax.lax.scan(step, (x, rule.init(x)), noise)
    np.testing.assert_allclose(np.var(x), lr / (2 - lr), rtol=0.25)
    np.testing.assert_allclose(np.var(evaluation_point(state, x)), 1 / steps, rtol=0.25)


# --- accumulation, SAM, reduction on a plateau -----------------------------------------------------------------------


@pytest.mark.parametrize("of", ["gd", "momentum", "adam"])
def test_accumulate_of_small_batches_is_one_large_batch(of):
    small = updates(accumulate(of=of, lr=0.1, every=4))
    large = updates(rule_factory(of)(lr=0.1), grads=G.reshape(3, 4, *X.shape).mean(1))
    np.testing.assert_array_equal(small.reshape(3, 4, *X.shape)[:, :3], 0)
    same(small[3::4], large, rtol=1e-5)


def test_sam_with_rho_zero_is_the_inner_rule():
    def run(rule):
        return trajectory(rule, X, steps=5)[0]

    for of in ("gd", "adam"):
        same(run(sam(of=of, lr=0.01, rho=0.0)), run(rule_factory(of)(lr=0.01)), rtol=1e-5)
        assert np.max(np.abs(run(sam(of=of, lr=0.01, rho=0.5)) - run(rule_factory(of)(lr=0.01)))) > 1e-3


def test_sam_oscillates_about_the_minimum_of_a_parabola_at_the_known_distance():
    """On a parabola the gradient at x + rho is c (x + rho): SAM ends in a cycle about the minimum."""
    c, lr, rho = 4.0, 0.1, 0.05
    bowl = Problem(init=lambda key: jnp.ones(()), loss=lambda x, batch: 0.5 * c * x**2)
    end = abs(float(descend(bowl, sam(lr=lr, rho=rho), jax.random.key(0), steps=200).params))
    np.testing.assert_allclose(end, lr * c * rho / (2 - lr * c), rtol=1e-4)
    still, _ = sam(rho=1.0).update(jnp.zeros(3), gd().init(X), jnp.ones(3), grad_fn=jnp.zeros_like)
    np.testing.assert_array_equal(still, 0)


def test_reduce_on_plateau_scales_by_hand():
    """Two improvements, 3 steps without one, 1 of cooldown, 3 without one, then min_scale. NaN is no improvement."""
    losses = [4.0, 3.0, 3.0, 3.1, 2.9999, 5.0, 3.0, 3.0, np.nan, 2.0, 2.0, 2.0, 2.0]
    scales = [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3]
    rule = reduce_on_plateau(lr=1.0, factor=0.5, patience=3, rtol=1e-3, cooldown=1, min_scale=0.3)
    state, seen = rule.init(X), []
    for loss in losses:
        moved, state = rule.update(jnp.ones(()), state, value=loss)
        seen.append(-float(moved))
    np.testing.assert_allclose(seen, scales, rtol=1e-6)


def test_reduce_on_plateau_keeps_the_scale_while_the_loss_falls():
    same(trajectory(reduce_on_plateau(of="gd", lr=0.01), X, steps=5)[0], trajectory(gd(lr=0.01), X, steps=5)[0])


# --- chain, optax and flax --------------------------------------------------


def test_chain_passes_extras_to_all_rules_and_finds_the_evaluation_parameters():
    rule = chain(optax.clip(0.5), average(of=functools.partial(sam, of="gd"), lr=0.1, rho=0.05))
    state, extra = rule.init(X), extras(X, 0)
    got, state = rule.update(extra["grad"], state, X, **extra)
    assert not np.array_equal(got, -0.1 * np.clip(extra["grad"], -0.5, 0.5))
    same(evaluation_point(state, X + 5.0), X + got)
    without = optax.chain(gd(lr=0.5), optax.scale(2.0))
    same(updates(chain(gd(lr=0.5), optax.scale(2.0))), updates(optax.with_extra_args_support(without)))


@pytest.mark.parametrize("rule", [adam(lr=0.1), lookahead(of="adam", lr=0.1, period=2), average(of="adam", lr=0.1)])
def test_rules_work_in_an_optax_chain_and_in_flax(rule):
    """In flax's TrainState, jitted, after optax's clipping: the same parameters as in a plain loop."""
    model = nn.Dense(2)
    x, y = jnp.ones((4, 3)), jnp.zeros((4, 2))
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        params = model.init(jax.random.key(0), x)["params"]

        def loss(params):
            return jnp.mean((model.apply({"params": params}, x) - y) ** 2)

        tx = optax.chain(optax.clip_by_global_norm(0.1), rule)
        train = TrainState.create(apply_fn=model.apply, params=params, tx=tx)
        step = jax.jit(lambda train: train.apply_gradients(grads=jax.grad(loss)(train.params)))
        by_hand, state = params, rule.init(params)
        for _ in range(5):
            train = step(train)
            grads, _ = optax.clip_by_global_norm(0.1).update(jax.grad(loss)(by_hand), optax.EmptyState())
            updates, state = rule.update(grads, state, by_hand)
            by_hand = optax.apply_updates(by_hand, updates)
    assert train.step == 5
    same(train.params, by_hand, rtol=1e-5)
    assert loss(train.params) < loss(params)
