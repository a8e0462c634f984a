"""Closed-form properties of the adaptive, sign-based, aggregated and quasi-hyperbolic rules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import register
from gdlab.rules import adagrad, adam, gd, momentum, momentum_ema, nesterov, rmsprop
from gdlab.rules.adabelief import adabelief
from gdlab.rules.adadelta import adadelta
from gdlab.rules.adamax import adamax
from gdlab.rules.aggmo import aggmo
from gdlab.rules.amsgrad import amsgrad
from gdlab.rules.evaluation import evaluation_point
from gdlab.rules.lion import lion
from gdlab.rules.nadam import nadam
from gdlab.rules.nesterov_1983 import nesterov_1983
from gdlab.rules.qhadam import qhadam
from gdlab.rules.qhm import qhm
from gdlab.rules.radam import radam
from gdlab.rules.rprop import rprop
from gdlab.rules.sign_gd import sign_gd
from gdlab.rules.yogi import yogi
from tests.rules.rule_cases import gradients

G, X = (jnp.asarray(part, jnp.float32) for part in gradients(40, seed=5))


def updates_of(rule, grads=G):
    """The updates on given gradients [T, ...], with parameters that start at 0."""

    def step(carry, g):
        x, state = carry
        updates, state = rule.update(g, state, x)
        return (x + updates, state), updates

    start = jnp.zeros_like(grads[0])
    return np.asarray(jax.lax.scan(step, (start, rule.init(start)), grads)[1])


def assert_same_updates(left, right, grads=G, rtol=1e-5):
    ours, theirs = updates_of(left, grads), updates_of(right, grads)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-6 * np.abs(theirs).max())


STRETCH = jnp.asarray(2.0 ** np.random.default_rng(3).integers(-8, 8, size=(40, 1, 1)), jnp.float32)


@pytest.mark.parametrize("rule", [sign_gd(lr=0.1), rprop(lr=0.1), rprop(lr=0.1, backtrack=False)])
def test_sign_descent_and_rprop_use_only_the_signs_of_gradients(rule):
    np.testing.assert_array_equal(updates_of(rule), updates_of(rule, G * STRETCH))


@pytest.mark.parametrize(
    "rule",
    [
        lion(lr=0.1),
        adamax(lr=0.1),
        nadam(lr=0.1, eps=0.0),
        amsgrad(lr=0.1, eps=0.0),
        qhadam(lr=0.1, nu2=0.5, eps=0.0),
        yogi(lr=0.1, eps=0.0, initial_accumulator=0.0),
        rmsprop(lr=0.1, eps=0.0, momentum=0.5),
    ],
)
def test_scaling_all_gradients_does_not_change_the_updates(rule):
    """With eps = 0. The factor is a power of two, so the rounding is the same."""
    np.testing.assert_array_equal(updates_of(rule), updates_of(rule, 64 * G))
    assert not (updates_of(rule) == updates_of(rule, G * STRETCH)).all()


def test_adadelta_does_not_depend_on_the_scale_of_the_gradients():
    u, scaled = (updates_of(adadelta(eps=1e-8), c * (G + jnp.sign(G))) for c in (1.0, 1e3))
    np.testing.assert_allclose(u, scaled, rtol=1e-5)


@pytest.mark.parametrize(
    ("rule", "length"),
    [
        (sign_gd(lr=0.25), 1.0),
        (lion(lr=0.25), 1.0),
        (adamax(lr=0.25), 1.0),
        (rprop(lr=0.25), 1.0),
        (amsgrad(lr=0.25, eps=0.0, corrected=True), 1.0),
        (amsgrad(lr=0.25, eps=0.0, b1=0.9, b2=0.99), 0.1 / 0.01**0.5),
        (qhadam(lr=0.25, eps=0.0, nu1=0.3, nu2=0.6), 1.0),
        (yogi(lr=0.25, eps=0.0, initial_accumulator=0.0, corrected=True), 1.0),
        # m is (1 - b1) g, so g - m is b1 g.
        (adabelief(lr=0.25, b1=0.8, eps=0.0), 1 / 0.8),
        # mu_1 = 0.4 and mu_2 = 0.4: 0.4 0.6 / (1 - 0.16) + 0.6 / 0.6, over sqrt(b2).
        (nadam(lr=0.25, b1=0.8, b2=0.81, eps=0.0, momentum_decay=0.0), (0.24 / 0.84 + 1) / 0.9),
    ],
)
def test_the_first_update_is_the_sign_of_the_gradient_times_a_known_length(rule, length):
    g = jnp.asarray([3.0, -1e-4, 20.0])
    updates, _ = rule.update(g, rule.init(g), g)
    np.testing.assert_allclose(updates, -0.25 * length * np.sign(g), rtol=1e-4)


def test_sign_gd_equals_adam_without_averages():
    assert_same_updates(sign_gd(lr=0.1), adam(lr=0.1, b1=0.0, b2=0.0, eps=0.0))


def test_sign_gd_oscillates_within_lr_of_the_minimum():
    rule = sign_gd(lr=0.5)
    x, state, path = jnp.asarray(3.25), rule.init(0.0), []
    for _ in range(12):
        updates, state = rule.update(x, state)
        x = x + updates
        path.append(float(x))
    assert path[-4:] == [-0.25, 0.25, -0.25, 0.25]


def test_lion_equals_sign_gd_for_b1_0_and_signum_for_b1_equal_b2():
    assert_same_updates(lion(lr=0.1, b1=0.0, b2=0.7), sign_gd(lr=0.1))
    signum = optax.chain(optax.ema(0.8, debias=False), optax.scale_by_sign(), optax.scale(-0.1))
    assert_same_updates(lion(lr=0.1, b1=0.8, b2=0.8), optax.with_extra_args_support(signum))


def test_lion_with_weight_decay_bounds_the_parameters_by_its_inverse():
    """For a constant gradient they converge to 1 / weight_decay (Chen et al., 2023; Liu et al., 2024)."""
    rule = lion(lr=0.1, weight_decay=0.25)
    x, state = jnp.asarray([0.0, 10.0]), rule.init(jnp.zeros(2))
    for _ in range(600):
        updates, state = rule.update(jnp.asarray([-1e-3, -7.0]), state, x)
        x = x + updates
    np.testing.assert_allclose(x, 4.0, rtol=1e-4)


def test_adamax_equals_adam_with_a_norm_of_high_order():
    """s = (sum over the past of b2^(p age) |g|^p)^(1/p) tends to the maximum (Kingma & Ba, 2015, Section 7.1)."""
    g, b2, p = np.abs(np.asarray(G, np.float64)), 0.9, 800
    t = np.arange(len(g))
    age = np.maximum(t[:, None] - t, 0)[..., None, None]
    terms = np.where((t[:, None] >= t)[..., None, None], b2**age * g[None], 0.0)
    top = terms.max(1)
    norm = top * ((terms / top[:, None]) ** p).sum(1) ** (1 / p)
    np.testing.assert_allclose(updates_of(adamax(lr=1.0, b1=0.0, b2=b2)), -np.asarray(G) / norm, rtol=1e-2)


def test_adamax_does_not_move_a_coordinate_that_never_had_a_gradient():
    assert (updates_of(adamax(lr=1.0), jnp.zeros((3, 2))) == 0).all()


def test_nadam_with_a_constant_gradient_shows_the_growth_of_its_momentum():
    """mhat tends to (1 + mu_{t+1} - mu_t) g, and the paper's factor b2 remains in the denominator."""
    steady = updates_of(nadam(lr=0.3, b1=0.9, b2=0.9, eps=0.0, momentum_decay=0.1), jnp.full((500, 1), -2.0))[:, 0]
    growth = 0.9 * 0.5 * (0.96 ** (0.1 * np.arange(100, 501)) - 0.96 ** (0.1 * np.arange(101, 502)))
    np.testing.assert_allclose(steady[99:], 0.3 / np.sqrt(0.9) * (1 + growth), rtol=1e-5)
    # A larger drop gives recent gradients more weight, so the average changes sign earlier after the gradient does.
    turn = jnp.where(jnp.arange(14) < 10, 1.0, -1.0)[:, None]
    slow, quick = (updates_of(nadam(b1=0.95, momentum_drop=drop), turn)[:, 0] for drop in (0.0, 0.5))
    assert slow[11] < 0 < quick[11]


def test_nadam_tends_to_qhadam_with_nu1_equal_b1():
    """Ma & Yarats (2019): once bias correction is negligible, apart from the paper's factor b2."""
    late = jnp.tile(G, (6, 1, 1))
    left = updates_of(nadam(lr=0.1, b1=0.8, b2=0.9, eps=0.0, momentum_drop=0.0), late)
    right = updates_of(qhadam(lr=0.1 / 0.9**0.5, b1=0.8, b2=0.9, nu1=0.8, eps=0.0), late)
    np.testing.assert_allclose(left[200:], right[200:], rtol=1e-4, atol=1e-6)
    assert np.abs(left[:5] / right[:5] - 1).max() > 0.01


def online(rule, large, rounds):
    """Reddi's sequence on [-1, 1]: f_t(x) = large x on every third step and -x on the others."""

    def step(carry, t):
        x, state = carry
        updates, state = rule.update(jnp.where(t % 3 == 0, large, -1.0), state, x)
        x = jnp.clip(x + updates, -1, 1)
        return (x, state), x

    start = jnp.asarray(0.0)
    return np.asarray(jax.jit(lambda: jax.lax.scan(step, (start, rule.init(start)), jnp.arange(3 * rounds))[1])())


@pytest.mark.parametrize("corrected", [False, True])
def test_amsgrad_converges_on_reddis_example_where_adam_does_not(corrected):
    """Reddi, Kale & Kumar (2018), Theorem 1: large = 4, b1 = 0, b2 = 1 / (1 + large^2), lr = 0.5 / sqrt(t).

    The gradients of three steps add up to large - 2 > 0, so -1 is the minimiser; Adam goes to 1.
    """
    large, rounds = 4.0, 4000
    numbers = {"lr": lambda t: 0.5 / jnp.sqrt(t + 1.0), "b1": 0.0, "b2": 1 / (1 + large**2), "eps": 0.0}
    assert online(adam(**numbers), large, rounds)[-300:].min() > 0.95
    assert online(amsgrad(**numbers, corrected=corrected), large, rounds)[-300:].max() < -0.95


def test_amsgrad_never_increases_its_effective_learning_rate():
    def rates(rule):
        return np.abs(updates_of(rule) / np.asarray(G))

    ours, adams = (rates(make(b1=0.0, b2=0.5, eps=0.0)) for make in (amsgrad, adam))
    assert (ours[1:] <= (1 + 1e-5) * ours[:-1]).all()
    assert (adams[1:] > 1.5 * adams[:-1]).any()


def test_amsgrad_equals_adam_and_rmsprop_while_gradients_grow():
    rising = jnp.sign(G) * jnp.cumsum(jnp.abs(G), 0)
    assert_same_updates(amsgrad(lr=0.1, corrected=True), adam(lr=0.1), rising)
    assert_same_updates(amsgrad(lr=0.1, b1=0.0, b2=0.9), rmsprop(lr=0.1, decay=0.9), rising)


def test_adabelief_on_constant_and_on_random_gradients():
    numbers = {"lr": 0.1, "b1": 0.9, "b2": 0.99}
    steady = updates_of(adabelief(**numbers, eps=1e-4), jnp.full((3000, 1), 2.0))
    np.testing.assert_allclose(steady[-1], -0.1 * 2 / (np.sqrt(1e-4 / 0.01) + 1e-4), rtol=1e-4)
    noise = jnp.asarray(np.random.default_rng(0).normal(size=(4000, 50)), jnp.float32)
    ours, adams = (np.abs(updates_of(rule, noise))[2000:].mean() for rule in (adabelief(**numbers), adam(**numbers)))
    # For independent draws of variance 1, (g - m)^2 = (b1 (g - m_before))^2 has the mean b1^2 (1 + (1-b1) / (1+b1)).
    np.testing.assert_allclose(ours / adams, 1 / np.sqrt(0.81 * (1 + 0.1 / 1.9)), rtol=0.02)


def test_yogi_changes_its_second_moment_in_proportion_to_the_square():
    rule, g = yogi(b2=0.99, initial_accumulator=1.0), jnp.asarray([0.1, 1e-4])
    state, adams = rule.init(g), adam(b2=0.99).init(g)._replace(nu=jnp.ones(2))
    for _ in range(100):
        _, state = rule.update(g, state)
        _, adams = adam(b2=0.99).update(g, adams)
    np.testing.assert_allclose(state.nu, 1 - 100 * 0.01 * g**2, rtol=1e-5)
    assert (adams.nu < 0.4).all()


def test_yogi_equals_adagrad_while_every_square_exceeds_the_accumulator():
    rising = jnp.sign(G) * jnp.cumsum(1 + 0 * G, 0)
    assert_same_updates(
        yogi(lr=0.1, b1=0.0, b2=0.99, eps=0.0, initial_accumulator=0.0),
        adagrad(lr=0.1 / 0.01**0.5, eps=0.0),
        rising,
    )


def test_radam_has_no_denominator_in_the_first_four_steps():
    assert_same_updates(radam(lr=0.1, b1=0.0), gd(lr=0.1), G[:4])
    fifth = updates_of(radam(lr=0.1, b1=0.0), G[:5])[4]
    assert (np.abs(fifth / (-0.1 * np.asarray(G[4])) - 1) > 0.01).all()


def test_radam_equals_optax_for_400_steps_and_tends_to_adam():
    with jax.enable_x64(True):
        g = jnp.asarray(gradients(400, seed=6)[0])
        ours = updates_of(radam(lr=0.1, b2=0.95, threshold=5.0), g)
        with jax.numpy_dtype_promotion("standard"):
            theirs = updates_of(optax.with_extra_args_support(optax.radam(0.1, b2=0.95)), g)
        np.testing.assert_allclose(ours, theirs, rtol=1e-8)
        np.testing.assert_allclose(ours[-100:], updates_of(adam(lr=0.1, b2=0.95), g)[-100:], rtol=1e-5)
        assert np.abs(ours[5] / updates_of(adam(lr=0.1, b2=0.95), g)[5]).max() < 0.5


def test_radam_in_float32_is_precise_for_b2_near_one():
    single = updates_of(radam(lr=0.1, b2=0.9999), G)
    with jax.enable_x64(True):
        double = updates_of(radam(lr=0.1, b2=0.9999), jnp.asarray(np.asarray(G, np.float64)))
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-5 * np.abs(double[5:]).max())


def test_adadelta_starts_with_steps_of_sqrt_eps_and_scales_with_lr():
    g = jnp.asarray([[3.0, -50.0]])
    first = updates_of(adadelta(rho=0.9, eps=1e-4), g)[0]
    np.testing.assert_allclose(first, -g[0] * 1e-2 / np.sqrt(0.1 * g[0] ** 2 + 1e-4), rtol=1e-5)
    np.testing.assert_allclose(3 * updates_of(adadelta(lr=1.0)), updates_of(adadelta(lr=3.0)), rtol=1e-5)
    lengths = np.abs(updates_of(adadelta(), jnp.full((300, 1), 2.0)))[:, 0]
    assert (np.diff(lengths[30:]) > 0).all()


SIGNS = jnp.asarray([1.0, 5.0, 0.1, -2.0, 3.0, 3.0, 0.0, 2.0])[:, None]


def test_rprop_step_by_step():
    """An equal sign multiplies the step by 1.2; a change of sign undoes the step, and the next one is half as long."""
    np.testing.assert_allclose(
        updates_of(rprop(lr=0.1), SIGNS)[:, 0],
        [-0.1, -0.12, -0.144, 0.144, -0.072, -0.0864, 0.0, -0.0864],
        rtol=1e-5,
        atol=1e-9,
    )
    np.testing.assert_allclose(updates_of(rprop(lr=0.1, backtrack=False), SIGNS)[3:5, 0], [0.0, -0.072], rtol=1e-5)
    kept = updates_of(rprop(lr=0.1, min_step=0.11, max_step=0.13, backtrack=False), SIGNS)[:, 0]
    np.testing.assert_allclose(kept, [-0.1, -0.12, -0.13, 0.0, -0.11, -0.13, 0.0, -0.13], rtol=1e-5, atol=1e-9)


def test_rprop_of_optax_is_one_gradient_late():
    """https://github.com/google-deepmind/optax/pull/1725; if this fails, optax is fixed: register its name again."""
    signs = jnp.asarray(np.random.default_rng(1).choice([-1.0, 1.0], size=(40, 6)), jnp.float32)
    with jax.numpy_dtype_promotion("standard"):
        theirs = updates_of(optax.with_extra_args_support(optax.rprop(0.1)), signs)
    ours = updates_of(rprop(lr=0.1, backtrack=False), signs)
    last = np.concatenate([np.zeros((1, 6)), ours[:-1]])
    np.testing.assert_allclose(theirs, np.where(ours == 0, 0.0, last), rtol=1e-5)
    assert (theirs[0] == 0).all()


def test_rprop_converges_on_an_absolute_value():
    """f = |x - 0.3|, whose gradient does not shrink near the minimum."""
    for backtrack in (True, False):
        rule, x = rprop(lr=0.1, min_step=0.0, backtrack=backtrack), jnp.asarray(2.0)
        state = rule.init(x)
        for _ in range(150):
            updates, state = rule.update(jnp.sign(x - 0.3), state)
            x = x + updates
        assert abs(float(x) - 0.3) < 1e-5


def test_qhm_contains_gd_momentum_ema_and_nesterov():
    """Ma & Yarats (2019), Table 1; the stability limits agree too."""
    limit = {kind: register.rules[kind].info["stability"] for kind in ("qhm", "nesterov", "momentum_ema")}
    assert_same_updates(qhm(lr=0.1, beta=0.9, nu=0.0), gd(lr=0.1))
    assert_same_updates(qhm(lr=0.1, beta=0.9, nu=1.0), momentum_ema(lr=0.1, beta=0.9))
    assert_same_updates(qhm(lr=0.1, beta=0.9, nu=0.9), nesterov(lr=0.1 * (1 - 0.9), beta=0.9))
    assert limit["qhm"](beta=0.9, nu=0.0) == pytest.approx(2)
    assert limit["qhm"](beta=0.9, nu=1.0) == pytest.approx(limit["momentum_ema"](beta=0.9))
    assert limit["qhm"](beta=0.9, nu=0.9) == pytest.approx(limit["nesterov"](beta=0.9) / (1 - 0.9))
    assert limit["qhm"](beta=1.1, nu=0.5) == 0
    assert limit["qhm"](beta=1.0, nu=1.0) == np.inf


def test_qhadam_contains_adam_and_sign_gd():
    assert_same_updates(qhadam(lr=0.1, b1=0.8, b2=0.95, nu1=1.0, nu2=1.0), adam(lr=0.1, b1=0.8, b2=0.95))
    assert_same_updates(qhadam(lr=0.1, nu1=0.0, nu2=0.0, eps=0.0), sign_gd(lr=0.1))


def test_qhadam_step_on_a_single_gradient_after_zeros_is_bounded_by_nu2():
    sparse = jnp.zeros((2000, 1)).at[-1].set(-5.0)
    for nu1, nu2 in ((1.0, 1.0), (0.7, 0.5)):
        longest = (1 - nu1 + nu1 * 0.1) / np.sqrt(1 - nu2 + nu2 * 0.01)
        rule = qhadam(lr=1.0, b1=0.9, b2=0.99, eps=1e-12, nu1=nu1, nu2=nu2)
        np.testing.assert_allclose(updates_of(rule, sparse)[-1], longest, rtol=1e-4)


def test_aggmo_is_the_mean_of_three_momenta():
    betas = (0.0, 0.8, 0.95)
    mean = np.mean([updates_of(momentum(lr=0.1, beta=beta)) for beta in betas], axis=0)
    np.testing.assert_allclose(updates_of(aggmo(0.1, *betas)), mean, rtol=1e-4, atol=1e-6 * np.abs(mean).max())
    assert_same_updates(aggmo(0.1, 0.9, 0.9, 0.9), momentum(lr=0.1, beta=0.9))
    limit = {kind: register.rules[kind].info["stability"] for kind in ("aggmo", "momentum")}
    assert limit["aggmo"](0.9, 0.9, 0.9) == pytest.approx(limit["momentum"](0.9))
    assert limit["aggmo"](0.0, 0.0, 0.0) == 2
    assert limit["aggmo"](0.0, 0.5, 1.1) == 0


def test_aggmo_damps_the_oscillation_of_its_largest_beta():
    """Passive damping: with beta 0.99 alone the oscillation persists; with 0 and 0.9 added it has decayed."""

    def amplitude(rule):
        def step(carry, _):
            x, state = carry
            updates, state = rule.update(x, state)
            return (x + updates, state), x

        start = jnp.asarray(1.0)
        return np.abs(jax.lax.scan(step, (start, rule.init(start)), None, length=300)[1][-50:]).max()

    assert amplitude(momentum(lr=0.1, beta=0.99)) > 0.1
    assert amplitude(aggmo(lr=0.1)) < 0.01


def test_rmsprop_momentum_sums_the_divided_gradients():
    """With decay 0 these are signs; for a constant gradient the sum tends to 1 / (1 - momentum)."""
    steady = updates_of(rmsprop(lr=0.1, decay=0.0, eps=0.0, momentum=0.9), jnp.full((400, 1), -3.0))
    np.testing.assert_allclose(steady[:2, 0], [0.1, 0.19], rtol=1e-5)
    np.testing.assert_allclose(steady[-1], 1.0, rtol=1e-4)


@pytest.mark.parametrize("curvatures", [[1.0, 0.1, 1e-3, 1e-5], [1.0, 3e-4, 1e-4, 3e-5]])
def test_nesterov_1983_satisfies_its_bound_and_gd_does_not(curvatures):
    """f(x_k) - f* <= 2 L |x_0 - x*|^2 / (k + 1)^2 for lr = 1 / L, at every k."""
    h = np.asarray(curvatures)

    def losses(rule):
        def step(carry, _):
            y, state = carry
            updates, state = rule.update(jnp.asarray(h) * y, state)
            y = y + updates
            return (y, state), evaluation_point(state, y)

        points = jax.lax.scan(step, (jnp.ones(4), rule.init(jnp.ones(4))), None, length=2000)[1]
        return 0.5 * np.sum(h * np.asarray(points) ** 2, axis=1)

    with jax.enable_x64(True):
        bound = 2 * h.max() * 4 / (np.arange(1, 2001) + 1) ** 2
        assert (losses(nesterov_1983(lr=1 / h.max())) <= bound).all()
        assert not (losses(gd(lr=1 / h.max())) <= bound).all()


def test_nesterov_1983_first_two_steps_by_hand():
    rule = nesterov_1983(lr=0.5)
    first, state = rule.update(2.0, rule.init(4.0))
    assert float(first) == -1.0
    assert float(evaluation_point(state, jnp.asarray(3.0))) == 3.0
    # a = 1, 1.618, 2.194: the second step has the momentum 0.618 / 2.194.
    second, state = rule.update(1.0, state)
    golden = (1 + np.sqrt(5)) / 2
    momentum_factor = (golden - 1) / ((1 + np.sqrt(1 + 4 * golden**2)) / 2)
    np.testing.assert_allclose(second, -0.5 - momentum_factor * 0.5, rtol=1e-6)
    np.testing.assert_allclose(evaluation_point(state, 3.0 + second), 2.5, rtol=1e-6)


def test_rprop_uses_a_schedule_of_lr_only_at_its_start():
    assert_same_updates(rprop(lr=lambda t: 0.1 / (1 + t)), rprop(lr=0.1), SIGNS)
