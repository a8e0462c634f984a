"""Adam's edge of stability: the threshold against the update matrix, the claims, and another b1."""

import numpy as np
import pytest

import gdlab
from gdlab import register
from gdlab.analysis.claims import judge

NAME = "adaptive-edge"


def spectral_radius(lr, b1, curvature):
    """Spectral radius of m <- b1 m + (1 - b1) h x, x <- x - lr m as a matrix on (x, m): Adam with a fixed P."""
    gain = (1 - b1) * curvature
    return np.abs(np.linalg.eigvals(np.array([[1 - lr * gain, -lr * b1], [gain, b1]]))).max()


def test_preconditioned_sharpness_settles_at_the_threshold(reproduced, tmp_path):
    claims = reproduced("adaptive_edge", "size=fast")
    ratios = [name for name in claims if name.startswith("lr ")]
    assert {claims[name]["status"] for name in [*ratios, "first loss / last"]} == {"held"}
    data = gdlab.open_results(tmp_path / NAME)
    for lr in data["lr"].values:
        series = data["preconditioned_sharpness"].sel(lr=lr).squeeze().values
        late = series[series.size // 2 :].mean()
        assert spectral_radius(lr, 0.9, 0.92 * late) < 1 - 1e-6
        assert spectral_radius(lr, 0.9, 1.08 * late) > 1 + 1e-6
    # The claims fail with the threshold of another b1.
    wrong = {claim.name: judge(claim).status for claim in register.checks[NAME].make(data, b1=0.5)}
    assert {wrong[name] for name in ratios} == {"failed"}


@pytest.mark.slow
def test_adaptive_edge_claims_hold_for_three_seeds(reproduced):
    assert {claim["status"] for claim in reproduced("adaptive_edge").values()} == {"held"}
