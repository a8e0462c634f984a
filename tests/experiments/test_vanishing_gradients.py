"""Vanishing and exploding gradients: against matrix powers in NumPy, with a wrong power, and with rules swapped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import register
from gdlab.analysis.claims import judge
from gdlab.types import Step


@pytest.fixture(scope="module")
def fast(ran):
    """Results at size=fast, and the claims."""
    return ran("vanishing_gradients", "size=fast")


def verdicts(data, **options):
    claims = register.checks["vanishing-gradients"].make(data, **options)
    return {claim.name: judge(claim).status for claim in claims}


def test_vanishing_gradients_claims_hold_except_the_unchecked_one(fast):
    statuses = {name: claim["status"] for name, claim in fast[1].items()}
    assert statuses.pop("tanh, rho = 1.5, greater rate, no clipping: share diverged") == "unchecked"
    assert set(statuses.values()) == {"held"}


def test_vanishing_gradients_claims_fail_for_a_wrong_power_or_swapped_rules(fast):
    wrong = verdicts(fast[0], power=2.0)
    assert wrong["linear: slope less log rho"] == wrong["tanh, rho < 1: slope less log rho"] == "failed"
    swapped = verdicts(fast[0].assign_coords(rule=fast[0]["rule"].values[::-1]))
    assert swapped["linear, rho > 1, no clipping: share diverged"] == swapped["clipped: share diverged"] == "failed"


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_log_jacobian_equals_products_of_jacobians(fast, activation):
    """dh_T/dh_t against a product of Jacobians in NumPy and, for the identity, a power of W."""
    with jax.enable_x64(True):
        problem = register.problems["adding-rnn"].make(rho=1.1, activation=activation, hidden=6)
        params = problem.init(jax.random.key(1))
        unused = jnp.zeros([])
        step = Step(problem, params, params, params, (), unused, None, unused, jax.random.key(2))
        measured = np.asarray(register.probes["log_jacobian"].make(step))
        w, h = np.asarray(params["recurrent"]), np.asarray(jax.random.normal(jax.random.key(2), (6,), float))
    assert np.abs(np.linalg.eigvals(w)).max() == pytest.approx(1.1)
    states = []
    for _ in range(500):
        h = np.tanh(w @ h) if activation == "tanh" else w @ h
        states.append(h)
    product = np.eye(6)
    for lag in range(1, 61):
        product = product @ ((1 - states[-lag] ** 2)[:, None] * w if activation == "tanh" else w)
        assert measured[lag - 1] == pytest.approx(np.log(np.linalg.norm(product)), abs=1e-9)
    if activation == "identity":
        assert measured[59] == pytest.approx(np.log(np.linalg.norm(np.linalg.matrix_power(w, 60))), abs=1e-9)


@pytest.mark.slow
def test_vanishing_gradients_claims_hold_at_full_length(reproduced):
    assert {claim["status"] for claim in reproduced("vanishing_gradients").values()} == {"held"}
