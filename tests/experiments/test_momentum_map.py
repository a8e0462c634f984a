"""Heavy ball's rates: against eigenvalues of companion matrices, and with the averaged form of momentum."""

import numpy as np
import pytest

SPECTRUM = (0.01, 0.03, 0.1, 0.3, 1.0)


def spectral_radius(lr, beta):
    """Largest spectral radius over the spectrum of (x_t, x_(t-1)) -> (x_(t+1), x_t)."""
    return max(abs(np.linalg.eigvals([[1 + beta - lr * l, -beta], [1.0, 0.0]])).max() for l in SPECTRUM)  # noqa: E741


def best(lrs, betas):
    return min((spectral_radius(lr, beta), lr, beta) for lr in lrs for beta in betas)


def test_momentum_map_best_cell_equals_that_of_eigenvalues(reproduced):
    claims = reproduced("momentum_map", "size=fast")
    assert {claim["status"] for claim in claims.values()} == {"held", "unchecked"}
    rate, _, beta = best(np.linspace(0.05, 3.95, 40), np.linspace(0.0125, 0.9875, 40))
    assert claims["best rate"]["value"] == pytest.approx(rate, rel=2e-3)
    assert claims["beta of the best rate"]["value"] == pytest.approx(beta)


def test_spectral_radius_at_the_closed_form_optimum():
    assert spectral_radius(400 / 121, (9 / 11) ** 2) == pytest.approx(9 / 11, abs=1e-6)
    assert spectral_radius(400 / 121 + 0.02, (9 / 11) ** 2) > 9 / 11 + 0.01


def test_momentum_map_claim_fails_for_averaged_momentum(reproduced):
    claims = reproduced("momentum_map", "size=fast", "checks.0.averaged=true")
    assert claims["cells rightly stable or unstable"]["status"] == "failed"


@pytest.mark.slow
def test_momentum_map_claims_hold(reproduced):
    claims = reproduced("momentum_map")
    assert {claim["status"] for claim in claims.values()} == {"held"}
