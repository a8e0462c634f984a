"""One run: against plain NumPy, and how it ends."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import Problem, Stop, descend
from gdlab.pytrees import norm
from gdlab.training.batches import batches
from gdlab.training.probes import grad_norm, position, update_norm

CURVATURE = np.array([1.0, 4.0, 9.0])


def bowl() -> Problem:
    return Problem(
        init=lambda key: jnp.array([1.0, -2.0, 0.5]),
        loss=lambda x, batch: 0.5 * jnp.sum(jnp.asarray(CURVATURE, x.dtype) * x * x),
    )


def line(n: int = 12) -> Problem:
    """Least-squares fit of a line; all residuals differ."""
    x = jnp.linspace(-1, 1, n)
    return Problem(
        init=lambda key: 0.1 * jax.random.normal(key, (2,)),
        loss=lambda w, batch: jnp.mean(jnp.square(w[0] * batch["x"] + w[1] - batch["y"])),
        data={"x": x, "y": 3 * x - 1 + jnp.sin(40 * x)},
    )


@pytest.mark.smoke
@pytest.mark.usefixtures("x64")
def test_gradient_descent_equals_numpy():
    lr, steps = 0.15, 40
    trace = descend(bowl(), optax.sgd(lr), jax.random.key(0), steps=steps, probes={"x": position, "g": grad_norm})
    x, xs = np.array([1.0, -2.0, 0.5]), []
    for _ in range(steps):
        xs.append(x)
        x = x - lr * CURVATURE * x
    xs = np.array(xs)
    np.testing.assert_allclose(trace.params, x, rtol=1e-13)
    np.testing.assert_allclose(trace.series["x"], xs, rtol=1e-13)
    np.testing.assert_allclose(trace.series["loss"], 0.5 * (CURVATURE * xs * xs).sum(1), rtol=1e-13)
    np.testing.assert_allclose(trace.series["g"], np.linalg.norm(CURVATURE * xs, axis=1), rtol=1e-13)
    np.testing.assert_allclose(trace.outcome.final_loss, 0.5 * (CURVATURE * x * x).sum(), rtol=1e-13)
    assert trace.outcome.steps_taken == steps
    assert trace.outcome.diverged_at == -1


@pytest.mark.parametrize(("steps", "every"), [(12, 1), (12, 5), (13, 4), (3, 7), (0, 1)])
def test_thinned_series_are_the_full_ones_thinned(steps, every):
    full = descend(
        line(), optax.sgd(0.1, momentum=0.5), jax.random.key(1), steps=steps, batch_size=5, probes={"g": grad_norm}
    )
    thin = descend(
        line(),
        optax.sgd(0.1, momentum=0.5),
        jax.random.key(1),
        steps=steps,
        batch_size=5,
        every=every,
        probes={"g": grad_norm},
    )
    for name in ("loss", "g"):
        np.testing.assert_allclose(thin.series[name], full.series[name][::every], rtol=1e-6)
    np.testing.assert_allclose(thin.params, full.params, rtol=1e-6)
    assert thin.outcome.steps_taken == steps


def test_no_series_when_none_is_wanted():
    trace = descend(bowl(), optax.sgd(0.1), jax.random.key(0), steps=7, every=None)
    assert trace.series == {}
    assert trace.outcome.steps_taken == 7


def test_a_diverged_run_is_frozen_at_its_last_finite_point():
    """With curvature 9 and lr 1 the last coordinate grows by -8 each step."""
    trace = descend(bowl(), optax.sgd(1.0), jax.random.key(0), steps=200, probes={"x": position, "u": update_norm})
    at = int(trace.outcome.diverged_at)
    assert 20 < at < 60
    assert jnp.isfinite(trace.params).all()
    assert not np.isfinite(trace.series["loss"][at])
    assert np.isfinite(trace.series["loss"][:at]).all()
    assert np.isnan(trace.series["loss"][at + 1 :]).all()
    assert np.isnan(trace.outcome.final_loss)
    assert trace.outcome.steps_taken == at
    np.testing.assert_allclose(trace.params[2], 0.5 * (-8.0) ** at, rtol=1e-5)


def test_a_bound_on_the_loss_counts_as_divergence():
    trace = descend(bowl(), optax.sgd(1.0), jax.random.key(0), steps=50, stop=Stop(bound=100.0))
    losses = [0.5 * (CURVATURE * (np.array([1, -2, 0.5]) * (1 - CURVATURE) ** t) ** 2).sum() for t in range(50)]
    assert int(trace.outcome.diverged_at) == next(t for t, loss in enumerate(losses) if loss > 100)


def test_a_bad_start_is_divergence_at_step_0():
    problem = Problem(init=lambda key: jnp.zeros(2), loss=lambda x, batch: jnp.sum(jnp.log(x)))
    trace = descend(problem, optax.sgd(0.1), jax.random.key(0), steps=5)
    assert trace.outcome.diverged_at == 0
    assert trace.outcome.steps_taken == 0
    assert np.isnan(trace.outcome.best_loss)
    np.testing.assert_array_equal(trace.params, [0, 0])


def test_divergence_at_the_very_last_update_is_noticed():
    """x <- x - lr always stays finite, but the loss is not finite for x < 0."""
    problem = Problem(init=lambda key: jnp.full(1, 0.5), loss=lambda x, batch: jnp.sum(jnp.sqrt(x)))
    trace = descend(problem, optax.sgd(1.0), jax.random.key(0), steps=1)
    assert trace.outcome.diverged_at == 1
    assert np.isnan(trace.outcome.final_loss)


@pytest.mark.parametrize("tolerance", ["loss", "grad_norm"])
def test_convergence_is_noted_at_the_first_point_within_tolerance(tolerance):
    stop = Stop(**{tolerance: 1e-3})
    free = descend(bowl(), optax.sgd(0.1), jax.random.key(0), steps=200, probes={"grad_norm": grad_norm})
    held = descend(bowl(), optax.sgd(0.1), jax.random.key(0), steps=200, stop=stop, probes={"grad_norm": grad_norm})
    first = int(np.argmax(free.series[tolerance] <= 1e-3))
    assert int(held.outcome.converged_at) == first
    assert held.outcome.steps_taken == first
    np.testing.assert_array_equal(held.series["loss"][: first + 1], free.series["loss"][: first + 1])
    assert np.isnan(held.series["loss"][first + 1 :]).all()
    np.testing.assert_allclose(held.outcome.final_loss, free.series["loss"][first], rtol=1e-6)


def test_best_loss_is_the_least_one_seen():
    trace = descend(line(), optax.sgd(0.9), jax.random.key(0), steps=30, batch_size=1, sampling="replacement")
    np.testing.assert_array_equal(trace.outcome.best_loss, trace.series["loss"].min())


def test_final_loss_is_on_all_data():
    problem = line()
    trace = descend(problem, optax.sgd(0.1), jax.random.key(3), steps=9, batch_size=2)
    np.testing.assert_allclose(trace.outcome.final_loss, problem.loss(trace.params, problem.data), rtol=1e-6)


def test_metrics_are_measured_on_held_out_data():
    half = {"x": jnp.array([0.0, 1.0]), "y": jnp.array([-1.0, 2.0])}
    base = line()
    problem = Problem(
        init=base.init,
        loss=base.loss,
        data=base.data,
        eval_data=half,
        metrics={"offset": lambda w, batch: w[1] - batch["y"][0]},
    )
    trace = descend(problem, optax.sgd(0.1), jax.random.key(0), steps=4)
    np.testing.assert_allclose(trace.outcome.metrics["eval_offset"], trace.params[1] + 1, rtol=1e-6)
    np.testing.assert_allclose(trace.outcome.metrics["eval_loss"], base.loss(trace.params, half), rtol=1e-6)


def test_a_custom_gradient_takes_the_place_of_the_derivative():
    """A rotation has no potential: x' = (y, -x) circles outward under explicit steps."""
    problem = Problem(
        init=lambda key: jnp.array([1.0, 0.0]),
        loss=lambda x, batch: jnp.sum(x * x),
        gradient=lambda x, batch: (jnp.sum(x * x), jnp.array([-1.0, 1.0]) * x[::-1]),
    )
    trace = descend(problem, optax.sgd(0.1), jax.random.key(0), steps=10)
    np.testing.assert_allclose(trace.series["loss"], 1.01 ** np.arange(10), rtol=1e-5)


def test_a_probe_can_carry_something_along():
    def start(problem, params):
        return jnp.zeros(())

    def measure(carry, step):
        return carry + step.value, carry

    trace = descend(bowl(), optax.sgd(0.1), jax.random.key(0), steps=9, every=3, probes={"sum": (start, measure)})
    # It is run where it is recorded: at steps 0, 3, 6.
    np.testing.assert_allclose(
        trace.series["sum"], np.concatenate([[0], np.cumsum(trace.series["loss"])[:-1]]), rtol=1e-6
    )


def test_the_runner_hands_over_every_extra():
    seen = {}

    def update(grads, state, params=None, **extra):
        seen.update(extra)
        np.testing.assert_array_equal(extra["grad_fn"](params).shape, grads.shape)
        assert extra["value_fn"](params).shape == ()
        return jax.tree.map(lambda g: -0.1 * g, grads), state

    rule = optax.GradientTransformationExtraArgs(lambda params: (), update)
    descend(bowl(), rule, jax.random.key(0), steps=2)
    assert set(seen) == {"value", "grad", "value_fn", "grad_fn", "key", "step", "full_grad_fn"}


def test_hypergradient_equals_a_finite_difference():
    def final(lr):
        return descend(bowl(), optax.sgd(lr), jax.random.key(0), steps=15, every=4).outcome.final_loss

    with jax.enable_x64(True):
        slope = jax.grad(final)(0.05)
        difference = (final(0.05 + 1e-6) - final(0.05 - 1e-6)) / 2e-6
    np.testing.assert_allclose(slope, difference, rtol=1e-6)


def test_jit_and_vmap_equal_the_plain_call():
    def final(lr, seed):
        return descend(line(), optax.sgd(lr), jax.random.key(seed), steps=25, batch_size=3).outcome.final_loss

    rates, seeds = jnp.array([0.01, 0.1, 0.5]), jnp.array([0, 1, 2])
    plain = [final(lr, seed) for lr, seed in zip(rates, seeds, strict=True)]
    np.testing.assert_allclose(jax.jit(jax.vmap(final))(rates, seeds), plain, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": -1}, "steps must not be negative"),
        ({"steps": 3, "every": 0}, "every must be at least 1"),
        ({"steps": 3, "batch_size": 13}, "hold only 12 examples"),
        ({"steps": 3, "batch_size": 0}, "at least 1"),
        ({"steps": 3, "batch_size": 2, "sampling": "sorted"}, "'shuffle' or 'replacement'"),
        ({"steps": 3, "probes": {"loss": grad_norm}}, "can.t be named .loss."),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        descend(line(), optax.sgd(0.1), jax.random.key(0), **settings)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="no data"):
        descend(bowl(), optax.sgd(0.1), jax.random.key(0), steps=2, batch_size=4)


def test_norm_of_mixed_trees():
    tree = {"a": jnp.array([3.0], jnp.bfloat16), "b": jnp.array(4.0), "c": jnp.zeros((0, 2))}
    assert norm(tree) == 5
    assert norm({}) == 0


class TestBatches:
    def taken(self, problem, size, steps, sampling="shuffle", first=0):
        source = batches(problem, jax.random.key(5), size, sampling)
        order = source.begin(jnp.asarray(first, jnp.int32))
        found = []
        for step in range(first, first + steps):
            order, batch = source.take(order, jnp.asarray(step, jnp.int32))
            found.append(np.asarray(batch))
        return np.stack(found)

    def problem(self, n):
        return Problem(init=lambda key: jnp.zeros(1), loss=lambda w, b: jnp.zeros(()), data=jnp.arange(n))

    def test_an_epoch_holds_every_example_once(self):
        epochs = self.taken(self.problem(12), 4, 9).reshape(3, 12)
        np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(12), (3, 1)))
        assert (epochs[0] != epochs[1]).any()

    def test_examples_that_do_not_fill_a_batch_are_left_out_of_an_epoch(self):
        epoch = self.taken(self.problem(11), 4, 2).reshape(-1)
        assert len(set(epoch.tolist())) == 8

    def test_a_run_can_be_resumed_at_any_step(self):
        whole = self.taken(self.problem(10), 3, 11)
        np.testing.assert_array_equal(self.taken(self.problem(10), 3, 4, first=7), whole[7:])

    def test_replacement_draws_uniformly(self):
        drawn = self.taken(self.problem(5), 4, 500, "replacement").reshape(-1)
        counts = np.bincount(drawn, minlength=5)
        # 2000 draws, 400 expected, standard deviation 18: five of them
        assert np.abs(counts - 400).max() < 90

    def test_leaves_must_agree_on_the_examples(self):
        problem = Problem(
            init=lambda key: jnp.zeros(1), loss=lambda w, b: jnp.zeros(()), data=(jnp.zeros(3), jnp.zeros(4))
        )
        with pytest.raises(ValueError, match="leading axis"):
            batches(problem, jax.random.key(0), 2, "shuffle")
