"""The fractal boundary: box counting on sets of known dimension, runs against a loop, and a bound that is too high."""

import sys

import jax
import numpy as np
import pytest

import gdlab
from gdlab import register
from gdlab.analysis.claims import judge

pytestmark = pytest.mark.usefixtures("optimised")


@pytest.fixture(scope="module")
def fast(ran):
    """Results at size=fast, and the claims."""
    return ran("fractal_boundary", "size=fast")


def test_fractal_boundary_claims_hold_at_size_fast(fast):
    assert [claim["status"] for claim in fast[1].values()] == ["held", "unchecked"]


@pytest.mark.slow
def test_fractal_boundary_claims_hold_at_default_size(reproduced):
    assert {claim["status"] for claim in reproduced("fractal_boundary").values()} == {"held"}


def test_fractal_boundary_claim_fails_for_too_large_a_margin(fast):
    claim = register.checks["fractal-boundary"].make(fast[0], margin=0.9)[0]
    assert judge(claim).status == "failed"


def test_fractal_boundary_difference_changes_sign_for_swapped_networks(fast):
    claim = register.checks["fractal-boundary"].make(fast[0], rougher="identity", than="tanh")[1]
    assert np.mean(claim.measured) < 0


def test_dimension_of_known_sets(fast):
    """Sierpinski triangle (Pascal's modulo 2): log 3 / log 2 on any 2^k grid; diagonal: 1; whole square: 2."""
    code = sys.modules[register.checks["fractal-boundary"].make.__module__]
    i, j = np.mgrid[:256, :256]
    assert code.dimension(i & j == 0) == pytest.approx(np.log(3) / np.log(2), abs=1e-12)
    assert code.dimension(i == j) == pytest.approx(1, abs=1e-12)
    assert code.dimension(i >= 0) == pytest.approx(2, abs=1e-12)
    assert code.smooth(256) == pytest.approx(1, abs=0.03)


def test_boundary_is_where_2x2_blocks_are_mixed(fast):
    code = sys.modules[register.checks["fractal-boundary"].make.__module__]
    inside = np.random.default_rng(0).random((8, 8)) < 0.5
    loop = [[len(set(inside[i : i + 2, j : j + 2].ravel())) == 2 for j in range(8)] for i in range(8)]
    np.testing.assert_array_equal(code.boundary(inside), loop)


@pytest.mark.parametrize("activation", ["tanh", "identity"])
@pytest.mark.usefixtures("x64", "fast")
def test_two_rates_run_equals_a_numpy_loop(activation):
    """At rates 10^0.2 and 10^-0.1, where runs are not chaotic, with gradients derived by hand."""
    problem = register.problems["two-rates-network"].make(activation=activation)
    rule = register.rules["two-rates"].make(u=0.75, v=0.25, log_lr=0.1, log_lr_out=0.0, decades=4.0, zoom=10.0)
    probes = {"tail": register.probes["tail_loss"].make}
    run = gdlab.descend(problem, rule, jax.random.key(1), steps=201, every=200, probes=probes)
    start = jax.tree.map(np.asarray, problem.init(jax.random.split(jax.random.key(1), 3)[0]))
    first, second, losses = start["first"], start["second"][:, 0], []
    x, y = (np.asarray(part) for part in problem.data)
    for _ in range(201):
        z = x @ first / np.sqrt(8)
        h = np.tanh(np.sqrt(2) * z) if activation == "tanh" else z
        slope = np.sqrt(2) * (1 - h**2) if activation == "tanh" else 1.0
        error = h @ second / 8 - y
        losses.append(np.mean(error**2))
        back = 2 * error[:, None] / len(y) * second / 8 * slope
        first = first - 10**0.2 * x.T @ back / np.sqrt(8)
        second = second - 10**-0.1 * h.T @ (2 * error / len(y)) / 8
    np.testing.assert_allclose(run.series["loss"], [losses[0], losses[200]], rtol=1e-9)
    assert float(run.series["tail"][-1]) == pytest.approx(np.mean(losses[181:201]) / losses[0], rel=1e-9)
