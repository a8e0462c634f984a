"""muP: effect of the parametrisation on rates and initial weights; claims with few widths and a wrong bound."""

from pathlib import Path

import jax
import numpy as np
import pytest

import gdlab
from gdlab import register
from gdlab.config import load

pytestmark = pytest.mark.usefixtures("optimised")

NAMES = ("standard: octaves a doubling", "muP: octaves a doubling")


@pytest.fixture(scope="module")
def network():
    """The factory of the problem that the experiment registers."""
    load(Path(__file__).parents[2] / "configs" / "mup.yaml")
    return register.problems["mup"].make


def weights(factor, params):
    """Kernels of the network, first layer first; `factor` scales all but the first."""
    layers = params["layers"]
    return [np.asarray(layers[i]["kernel"]) * (factor if i else 1.0) for i in range(3)]


def test_mup_at_base_width_differs_only_in_the_last_kernel(network):
    plain, mup = network(64).init(jax.random.key(0)), network(64, True).init(jax.random.key(0))
    for one, other in zip(weights(1.0, plain)[:2], weights(1.0, mup)[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.asarray(mup["layers"][2]["kernel"]).any()


def test_mup_adam_step_is_lr_times_64_over_width(network):
    problem = network(128, True)
    params = problem.init(jax.random.key(1))
    assert np.std(weights(0.5, params)[1]) == pytest.approx(128**-0.5, rel=0.05)
    trace = gdlab.descend(problem, gdlab.rules.adam(lr=0.01, eps=1e-30), jax.random.key(1), steps=1, batch_size=128)
    # Only the last kernel has a non-zero gradient while it is zero.
    step = weights(0.5, trace.params)[2]
    moved = np.abs(step[step != 0])
    np.testing.assert_allclose(moved, 0.005, rtol=1e-4)


def test_mup_claims_are_unchecked_for_too_few_widths(reproduced):
    claims = reproduced("mup", "size=fast")
    assert {claims[name]["status"] for name in NAMES} == {"unchecked"}


@pytest.mark.slow
def test_mup_claims_hold(reproduced):
    claims = reproduced("mup")
    assert {claims[name]["status"] for name in NAMES} == {"held"}


@pytest.mark.slow
def test_mup_claim_fails_for_an_octave_per_doubling(reproduced):
    claims = reproduced("mup", "checks.0.octaves=1")
    assert claims[NAMES[0]]["status"] == "failed"
