"""Every rule converges for some lr in its registered range: a quadratic, Rosenbrock's function, images of digits."""

import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from gdlab import Problem, problems, sweep
from tests.rules.rule_cases import every_rule, some_rules


def best_loss(case, problem, steps, rates=16, **settings):
    """The lowest final loss over learning rates in the registered range, and the initial loss."""
    low, high = case.entry.info["ranges"]["lr"]

    def rule(lr):
        return case(**{**case.defaults, "lr": lr})

    data = sweep(problem, rule, {"lr": gdlab.log(low, high, rates)}, steps=steps, every=steps, **settings)
    return float(data["final_loss"].min()), float(data["loss"][0, 0])


@some_rules(lambda case: not case.entry.info.get("projects"))
def test_rule_converges_on_an_ill_conditioned_quadratic(case):
    """f = 1/2 x' H x with eigenvalues 0.01 ... 1: the loss falls by a factor of 10,000 in 1500 steps."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    bowl = Problem(
        init=lambda key: jnp.asarray(rotation @ np.ones(4), jnp.float32).reshape(2, 2),
        outputs=lambda x, batch: (
            jnp.asarray(np.sqrt([0.01, 0.05, 0.2, 1.0])[:, None] * rotation.T, x.dtype) @ x.ravel()
        ),
        criterion=lambda z, batch: 0.5 * jnp.sum(z**2),
    )
    end, start = best_loss(case, bowl, 1500)
    assert end < 1e-4 * start


@pytest.mark.slow
@every_rule
def test_rule_converges_on_rosenbrocks_function(case):
    """From (-1.2, 1), where the loss is 24.2, to below 0.5 in 3000 steps."""
    valley = Problem(
        init=problems.rosenbrock().init,
        outputs=lambda x, batch: jnp.stack([1 - x[0], 10 * (x[1] - x[0] ** 2)]),
        criterion=lambda z, batch: jnp.sum(z**2),
    )
    end, start = best_loss(case, valley, 3000, rates=25)
    assert start == pytest.approx(24.2)
    assert end < 0.5


@pytest.mark.slow
@every_rule
def test_rule_trains_logistic_regression_on_digits(case):
    """On batches of 64 the training loss falls from log 10 to below 0.5 in 300 steps."""
    end, start = best_loss(case, problems.logistic_regression("digits"), 300, rates=9, batch_size=64)
    assert start == pytest.approx(np.log(10), rel=1e-3)
    assert end < 0.5
