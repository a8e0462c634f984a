"""What is known in closed form of the adaptive, sign-based, aggregated and quasi-hyperbolic rules."""

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
    """On given gradients [T, ...], from 0."""

    def step(carry, g):
        x, state = carry
        updates, state = rule.update(g, state, x)
        return (x + updates, state), updates

    start = jnp.zeros_like(grads[0])
    return np.asarray(jax.lax.scan(step, (start, rule.init(start)), grads)[1])


def same(left, right, grads=G, rtol=1e-5):
    ours, theirs = updates_of(left, grads), updates_of(right, grads)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-6 * np.abs(theirs).max())


STRETCH = jnp.asarray(2.0 ** np.random.default_rng(3).integers(-8, 8, size=(40, 1, 1)), jnp.float32)


@pytest.mark.parametrize("rule", [sign_gd(lr=0.1), rprop(lr=0.1), rprop(lr=0.1, backtrack=False)])
def test_only_signs_count(rule):
    """Whatever the sizes of the gradients, step by step."""
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
def test_one_factor_for_all_gradients_changes_nothing(rule):
    """With the eps at 0; a factor that is a power of two, so that rounding is the same."""
    np.testing.assert_array_equal(updates_of(rule), updates_of(rule, 64 * G))
    assert not (updates_of(rule) == updates_of(rule, G * STRETCH)).all()


def test_adadelta_does_not_see_the_gradients_unit():
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
        # m is (1 - b1) g, which leaves the surprise b1 g.
        (adabelief(lr=0.25, b1=0.8, eps=0.0), 1 / 0.8),
        # mu_1 = 0.4 and mu_2 = 0.4: 0.4 0.6 / (1 - 0.16) + 0.6 / 0.6, over sqrt(b2).
        (nadam(lr=0.25, b1=0.8, b2=0.81, eps=0.0, momentum_decay=0.0), (0.24 / 0.84 + 1) / 0.9),
    ],
)
def test_the_first_step_is_the_sign_times(rule, length):
    g = jnp.asarray([3.0, -1e-4, 20.0])
    updates, _ = rule.update(g, rule.init(g), g)
    np.testing.assert_allclose(updates, -0.25 * length * np.sign(g), rtol=1e-4)


def test_sign_descent_is_adam_without_memory_and_comes_no_nearer_than_its_rate():
    same(sign_gd(lr=0.1), adam(lr=0.1, b1=0.0, b2=0.0, eps=0.0))
    rule = sign_gd(lr=0.5)
    x, state, path = jnp.asarray(3.25), rule.init(0.0), []
    for _ in range(12):
        updates, state = rule.update(x, state)
        x = x + updates
        path.append(float(x))
    assert path[-4:] == [-0.25, 0.25, -0.25, 0.25]


def test_lion_without_a_past_is_the_sign_and_with_one_average_the_sign_of_momentum():
    same(lion(lr=0.1, b1=0.0, b2=0.7), sign_gd(lr=0.1))
    signum = optax.chain(optax.ema(0.8, debias=False), optax.scale_by_sign(), optax.scale(-0.1))
    same(lion(lr=0.1, b1=0.8, b2=0.8), optax.with_extra_args_support(signum))


def test_lions_decay_confines_the_parameters_to_a_box():
    """Under a steady pull the parameters come to rest at 1 / weight_decay (Chen et al., 2023; Liu et al., 2024)."""
    rule = lion(lr=0.1, weight_decay=0.25)
    x, state = jnp.asarray([0.0, 10.0]), rule.init(jnp.zeros(2))
    for _ in range(600):
        updates, state = rule.update(jnp.asarray([-1e-3, -7.0]), state, x)
        x = x + updates
    np.testing.assert_allclose(x, 4.0, rtol=1e-4)
    with pytest.raises(ValueError, match="parameters"):
        rule.update(x, state)


def test_adamax_is_adam_with_a_norm_of_high_order():
    """s = (sum over the past of b2^(p age) |g|^p)^(1/p) tends to the maximum (Kingma & Ba, 2015, Section 7.1)."""
    g, b2, p = np.abs(np.asarray(G, np.float64)), 0.9, 800
    t = np.arange(len(g))
    age = np.maximum(t[:, None] - t, 0)[..., None, None]
    terms = np.where((t[:, None] >= t)[..., None, None], b2**age * g[None], 0.0)
    top = terms.max(1)
    norm = top * ((terms / top[:, None]) ** p).sum(1) ** (1 / p)
    np.testing.assert_allclose(updates_of(adamax(lr=1.0, b1=0.0, b2=b2)), -np.asarray(G) / norm, rtol=1e-2)


def test_adamax_leaves_what_never_had_a_gradient():
    assert (updates_of(adamax(lr=1.0), jnp.zeros((3, 2))) == 0).all()


def test_nadams_momentum_is_on_its_way_to_b1():
    """Under a constant gradient mhat is (1 + mu_{t+1} - mu_t) g in the end; the paper's factor b2 is left over."""
    steady = updates_of(nadam(lr=0.3, b1=0.9, b2=0.9, eps=0.0, momentum_decay=0.1), jnp.full((500, 1), -2.0))[:, 0]
    growth = 0.9 * 0.5 * (0.96 ** (0.1 * np.arange(100, 501)) - 0.96 ** (0.1 * np.arange(101, 502)))
    np.testing.assert_allclose(steady[99:], 0.3 / np.sqrt(0.9) * (1 + growth), rtol=1e-5)
    # A greater drop makes the average younger: after a change of sign it has turned sooner.
    turn = jnp.where(jnp.arange(14) < 10, 1.0, -1.0)[:, None]
    slow, quick = (updates_of(nadam(b1=0.95, momentum_drop=drop), turn)[:, 0] for drop in (0.0, 0.5))
    assert slow[11] < 0 < quick[11]


def test_nadam_is_quasi_hyperbolic_adam_in_the_end():
    """At nu1 = b1 (Ma & Yarats, 2019): once the averages have forgotten their start, but for the paper's factor b2."""
    late = jnp.tile(G, (6, 1, 1))
    left = updates_of(nadam(lr=0.1, b1=0.8, b2=0.9, eps=0.0, momentum_drop=0.0), late)
    right = updates_of(qhadam(lr=0.1 / 0.9**0.5, b1=0.8, b2=0.9, nu1=0.8, eps=0.0), late)
    np.testing.assert_allclose(left[200:], right[200:], rtol=1e-4, atol=1e-6)
    assert np.abs(left[:5] / right[:5] - 1).max() > 0.01


def online(rule, large, rounds):
    """Reddi's sequence on [-1, 1]: f_t(x) = large x on every third step and -x on the two between."""

    def step(carry, t):
        x, state = carry
        updates, state = rule.update(jnp.where(t % 3 == 0, large, -1.0), state, x)
        x = jnp.clip(x + updates, -1, 1)
        return (x, state), x

    start = jnp.asarray(0.0)
    return np.asarray(jax.jit(lambda: jax.lax.scan(step, (start, rule.init(start)), jnp.arange(3 * rounds))[1])())


@pytest.mark.parametrize("corrected", [False, True])
def test_adam_goes_to_the_worst_point_where_amsgrad_goes_to_the_best(corrected):
    """Reddi, Kale & Kumar (2018), Theorem 1: large = 4, b1 = 0, b2 = 1 / (1 + large^2), rate 0.5 / sqrt(t).

    In every three steps the gradients add up to large - 2 > 0, so -1 is best; Adam forgets the one that is great.
    """
    large, rounds = 4.0, 4000
    numbers = {"lr": lambda t: 0.5 / jnp.sqrt(t + 1.0), "b1": 0.0, "b2": 1 / (1 + large**2), "eps": 0.0}
    assert online(adam(**numbers), large, rounds)[-300:].min() > 0.95
    assert online(amsgrad(**numbers, corrected=corrected), large, rounds)[-300:].max() < -0.95


def test_amsgrads_effective_rate_never_grows():
    def rates(rule):
        return np.abs(updates_of(rule) / np.asarray(G))

    ours, adams = (rates(make(b1=0.0, b2=0.5, eps=0.0)) for make in (amsgrad, adam))
    assert (ours[1:] <= (1 + 1e-5) * ours[:-1]).all()
    assert (adams[1:] > 1.5 * adams[:-1]).any()


def test_amsgrad_is_adam_while_gradients_grow():
    rising = jnp.sign(G) * jnp.cumsum(jnp.abs(G), 0)
    same(amsgrad(lr=0.1, corrected=True), adam(lr=0.1), rising)
    same(amsgrad(lr=0.1, b1=0.0, b2=0.9), rmsprop(lr=0.1, decay=0.9), rising)


def test_adabeliefs_steps_grow_where_gradients_agree_and_are_adams_where_they_do_not():
    numbers = {"lr": 0.1, "b1": 0.9, "b2": 0.99}
    steady = updates_of(adabelief(**numbers, eps=1e-4), jnp.full((3000, 1), 2.0))
    np.testing.assert_allclose(steady[-1], -0.1 * 2 / (np.sqrt(1e-4 / 0.01) + 1e-4), rtol=1e-4)
    noise = jnp.asarray(np.random.default_rng(0).normal(size=(4000, 50)), jnp.float32)
    ours, adams = (np.abs(updates_of(rule, noise))[2000:].mean() for rule in (adabelief(**numbers), adam(**numbers)))
    # The surprise of independent draws of variance 1: (b1 (g - m_before))^2, that is b1^2 (1 + (1 - b1) / (1 + b1)).
    np.testing.assert_allclose(ours / adams, 1 / np.sqrt(0.81 * (1 + 0.1 / 1.9)), rtol=0.02)


def test_yogis_second_moment_changes_by_a_share_of_the_square_only():
    rule, g = yogi(b2=0.99, initial_accumulator=1.0), jnp.asarray([0.1, 1e-4])
    state, adams = rule.init(g), adam(b2=0.99).init(g)._replace(mean_square=jnp.ones(2))
    for _ in range(100):
        _, state = rule.update(g, state)
        _, adams = adam(b2=0.99).update(g, adams)
    np.testing.assert_allclose(state.nu, 1 - 100 * 0.01 * g**2, rtol=1e-5)
    assert (adams.nu < 0.4).all()


def test_yogi_is_adagrad_while_every_square_is_above_the_accumulator():
    rising = jnp.sign(G) * jnp.cumsum(1 + 0 * G, 0)
    same(
        yogi(lr=0.1, b1=0.0, b2=0.99, eps=0.0, initial_accumulator=0.0),
        adagrad(lr=0.1 / 0.01**0.5, eps=0.0),
        rising,
    )


def test_radam_does_not_divide_in_the_first_four_steps():
    same(radam(lr=0.1, b1=0.0), gd(lr=0.1), G[:4])
    fifth = updates_of(radam(lr=0.1, b1=0.0), G[:5])[4]
    assert (np.abs(fifth / (-0.1 * np.asarray(G[4])) - 1) > 0.01).all()


def test_radam_is_optaxs_for_long_and_adam_in_the_end():
    with jax.enable_x64(True):
        g = jnp.asarray(gradients(400, seed=6)[0])
        ours = updates_of(radam(lr=0.1, b2=0.95, threshold=5.0), g)
        with jax.numpy_dtype_promotion("standard"):
            theirs = updates_of(optax.with_extra_args_support(optax.radam(0.1, b2=0.95)), g)
        np.testing.assert_allclose(ours, theirs, rtol=1e-8)
        np.testing.assert_allclose(ours[-100:], updates_of(adam(lr=0.1, b2=0.95), g)[-100:], rtol=1e-5)
        assert np.abs(ours[5] / updates_of(adam(lr=0.1, b2=0.95), g)[5]).max() < 0.5


def test_radam_keeps_its_precision_where_b2_is_near_one():
    single = updates_of(radam(lr=0.1, b2=0.9999), G)
    with jax.enable_x64(True):
        double = updates_of(radam(lr=0.1, b2=0.9999), jnp.asarray(np.asarray(G, np.float64)))
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-5 * np.abs(double[5:]).max())


def test_adadelta_sets_out_at_the_root_of_eps_and_its_factor_stays_outside():
    g = jnp.asarray([[3.0, -50.0]])
    first = updates_of(adadelta(rho=0.9, eps=1e-4), g)[0]
    np.testing.assert_allclose(first, -g[0] * 1e-2 / np.sqrt(0.1 * g[0] ** 2 + 1e-4), rtol=1e-5)
    np.testing.assert_allclose(3 * updates_of(adadelta(lr=1.0)), updates_of(adadelta(lr=3.0)), rtol=1e-5)
    lengths = np.abs(updates_of(adadelta(), jnp.full((300, 1), 2.0)))[:, 0]
    assert (np.diff(lengths[30:]) > 0).all()


SIGNS = jnp.asarray([1.0, 5.0, 0.1, -2.0, 3.0, 3.0, 0.0, 2.0])[:, None]


def test_rprop_step_by_step():
    """Two like signs, twice 1.2 longer; a change of sign takes the step back, and the next step is half of it."""
    np.testing.assert_allclose(
        updates_of(rprop(lr=0.1), SIGNS)[:, 0],
        [-0.1, -0.12, -0.144, 0.144, -0.072, -0.0864, 0.0, -0.0864],
        rtol=1e-5,
        atol=1e-9,
    )
    np.testing.assert_allclose(updates_of(rprop(lr=0.1, backtrack=False), SIGNS)[3:5, 0], [0.0, -0.072], rtol=1e-5)
    kept = updates_of(rprop(lr=0.1, min_step=0.11, max_step=0.13, backtrack=False), SIGNS)[:, 0]
    np.testing.assert_allclose(kept, [-0.1, -0.12, -0.13, 0.0, -0.11, -0.13, 0.0, -0.13], rtol=1e-5, atol=1e-9)


def test_optaxs_rprop_is_ours_one_gradient_late():
    """https://github.com/google-deepmind/optax/pull/1725; once this fails, register rprop beside optax's again."""
    signs = jnp.asarray(np.random.default_rng(1).choice([-1.0, 1.0], size=(40, 6)), jnp.float32)
    with jax.numpy_dtype_promotion("standard"):
        theirs = updates_of(optax.with_extra_args_support(optax.rprop(0.1)), signs)
    ours = updates_of(rprop(lr=0.1, backtrack=False), signs)
    last = np.concatenate([np.zeros((1, 6)), ours[:-1]])
    np.testing.assert_allclose(theirs, np.where(ours == 0, 0.0, last), rtol=1e-5)
    assert (theirs[0] == 0).all()


def test_rprop_reaches_a_kink():
    """f = |x - 0.3|, where the gradient never shrinks: the step does."""
    for backtrack in (True, False):
        rule, x = rprop(lr=0.1, min_step=0.0, backtrack=backtrack), jnp.asarray(2.0)
        state = rule.init(x)
        for _ in range(150):
            updates, state = rule.update(jnp.sign(x - 0.3), state)
            x = x + updates
        assert abs(float(x) - 0.3) < 1e-5


def test_quasi_hyperbolic_momentum_has_three_others_in_it():
    """Ma & Yarats (2019), Table 1; where they are the same their limits of stability are."""
    limit = {kind: register.rules[kind].info["stability"] for kind in ("qhm", "nesterov", "momentum_ema")}
    same(qhm(lr=0.1, beta=0.9, nu=0.0), gd(lr=0.1))
    same(qhm(lr=0.1, beta=0.9, nu=1.0), momentum_ema(lr=0.1, beta=0.9))
    same(qhm(lr=0.1, beta=0.9, nu=0.9), nesterov(lr=0.1 * (1 - 0.9), beta=0.9))
    assert limit["qhm"](beta=0.9, nu=0.0) == pytest.approx(2)
    assert limit["qhm"](beta=0.9, nu=1.0) == pytest.approx(limit["momentum_ema"](beta=0.9))
    assert limit["qhm"](beta=0.9, nu=0.9) == pytest.approx(limit["nesterov"](beta=0.9) / (1 - 0.9))
    assert limit["qhm"](beta=1.1, nu=0.5) == 0
    assert limit["qhm"](beta=1.0, nu=1.0) == np.inf


def test_quasi_hyperbolic_adam_has_others_in_it():
    same(qhadam(lr=0.1, b1=0.8, b2=0.95, nu1=1.0, nu2=1.0), adam(lr=0.1, b1=0.8, b2=0.95))
    same(qhadam(lr=0.1, nu1=0.0, nu2=0.0, eps=0.0), sign_gd(lr=0.1))


def test_a_gradient_out_of_the_blue_makes_adams_longest_step_and_nu2_bounds_it():
    blue = jnp.zeros((2000, 1)).at[-1].set(-5.0)
    numbers = {"lr": 1.0, "b1": 0.9, "b2": 0.99, "eps": 0.0}
    for nu1, nu2 in ((1.0, 1.0), (0.7, 0.5)):
        longest = (1 - nu1 + nu1 * 0.1) / np.sqrt(1 - nu2 + nu2 * 0.01)
        rule = qhadam(**(numbers | {"eps": 1e-12}), nu1=nu1, nu2=nu2)
        np.testing.assert_allclose(updates_of(rule, blue)[-1], longest, rtol=1e-4)


def test_aggregated_momentum_is_the_mean_of_three():
    betas = (0.0, 0.8, 0.95)
    mean = np.mean([updates_of(momentum(lr=0.1, beta=beta)) for beta in betas], axis=0)
    np.testing.assert_allclose(updates_of(aggmo(0.1, *betas)), mean, rtol=1e-4, atol=1e-6 * np.abs(mean).max())
    same(aggmo(0.1, 0.9, 0.9, 0.9), momentum(lr=0.1, beta=0.9))
    limit = {kind: register.rules[kind].info["stability"] for kind in ("aggmo", "momentum")}
    assert limit["aggmo"](0.9, 0.9, 0.9) == pytest.approx(limit["momentum"](0.9))
    assert limit["aggmo"](0.0, 0.0, 0.0) == 2
    assert limit["aggmo"](0.0, 0.5, 1.1) == 0


def test_aggregated_momentum_damps_the_swing_of_its_heaviest():
    """Passive damping: at 0.99 alone the swing lives on, with 0 and 0.9 beside it, it has died out."""

    def swing(rule):
        def step(carry, _):
            x, state = carry
            updates, state = rule.update(x, state)
            return (x + updates, state), x

        start = jnp.asarray(1.0)
        return np.abs(jax.lax.scan(step, (start, rule.init(start)), None, length=300)[1][-50:]).max()

    assert swing(momentum(lr=0.1, beta=0.99)) > 0.1
    assert swing(aggmo(lr=0.1)) < 0.01


def test_rmsprops_momentum_adds_up_the_divided_gradients():
    """With nothing averaged these are signs; a constant one adds up to 1 / (1 - momentum)."""
    steady = updates_of(rmsprop(lr=0.1, decay=0.0, eps=0.0, momentum=0.9), jnp.full((400, 1), -3.0))
    np.testing.assert_allclose(steady[:2, 0], [0.1, 0.19], rtol=1e-5)
    np.testing.assert_allclose(steady[-1], 1.0, rtol=1e-4)


@pytest.mark.parametrize("curvatures", [[1.0, 0.1, 1e-3, 1e-5], [1.0, 3e-4, 1e-4, 3e-5]])
def test_nesterov_keeps_his_promise_and_gradient_descent_does_not(curvatures):
    """f(x_k) - f* <= 2 L |x_0 - x*|^2 / (k + 1)^2 at the rate 1 / L, at every k."""
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


def test_nesterovs_first_step_is_gradient_descent_and_he_looks_ahead_from_then_on():
    rule = nesterov_1983(lr=0.5)
    first, state = rule.update(2.0, rule.init(4.0))
    assert float(first) == -1.0
    assert float(evaluation_point(state, jnp.asarray(3.0))) == 3.0
    # a = 1, 1.618, 2.194: the second step is led by 0.618 / 2.194.
    second, state = rule.update(1.0, state)
    golden = (1 + np.sqrt(5)) / 2
    lead = (golden - 1) / ((1 + np.sqrt(1 + 4 * golden**2)) / 2)
    np.testing.assert_allclose(second, -0.5 - lead * 0.5, rtol=1e-6)
    np.testing.assert_allclose(evaluation_point(state, 3.0 + second), 2.5, rtol=1e-6)


def test_a_rate_of_rprop_is_where_it_starts_only():
    """A schedule of lr is read on the first step, for the first size."""
    same(rprop(lr=lambda t: 0.1 / (1 + t)), rprop(lr=0.1), SIGNS)
