"""Vanishing and exploding gradients: against powers of a matrix in NumPy, and with a wrong power and rules swapped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import register
from gdlab.analysis.claims import judge
from gdlab.types import Step


@pytest.fixture(scope="module")
def fast(ran):
    """The results of the short version, and its claims."""
    return ran("vanishing_gradients", "size=fast")


def verdicts(data, **options):
    claims = register.checks["vanishing-gradients"].make(data, **options)
    return {claim.name: judge(claim).status for claim in claims}


def test_its_claims_hold_but_the_one_that_needs_the_length(fast):
    statuses = {name: claim["status"] for name, claim in fast[1].items()}
    assert statuses.pop("tanh, rho = 1.5, greater rate, no clipping: share diverged") == "unchecked"
    assert set(statuses.values()) == {"held"}


def test_with_a_wrong_power_or_the_rules_swapped_they_fail(fast):
    wrong = verdicts(fast[0], power=2.0)
    assert wrong["linear: slope less log rho"] == wrong["tanh, rho < 1: slope less log rho"] == "failed"
    swapped = verdicts(fast[0].assign_coords(rule=fast[0]["rule"].values[::-1]))
    assert swapped["linear, rho > 1, no clipping: share diverged"] == swapped["clipped: share diverged"] == "failed"


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_the_probe_is_the_derivative(fast, activation):
    """dh_T/dh_t as a product of Jacobians in NumPy, and for the identity as a power of W."""
    with jax.enable_x64(True):
        problem = register.problems["adding-rnn"].make(rho=1.1, activation=activation, hidden=6)
        params = problem.init(jax.random.key(1))
        blank = jnp.zeros([])
        step = Step(problem, params, params, params, (), blank, None, blank, jax.random.key(2))
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
def test_all_claims_hold_at_full_length(reproduced):
    assert {claim["status"] for claim in reproduced("vanishing_gradients").values()} == {"held"}
