"""The edge of stability: thresholds against the update matrix, the claims, and other constants."""

import numpy as np
import pytest

import gdlab
from gdlab import register
from gdlab.analysis.claims import judge

NAME = "edge-of-stability"


def spectral_radius(rule, lr, b, curvature):
    """Spectral radius of one step on curvature x^2 / 2, as a matrix on (x_t, x_(t-1))."""
    if rule == "nesterov":
        slope = (1 + b) * (1 - lr * curvature), -b * (1 - lr * curvature)
    else:
        b = b if rule == "heavy-ball" else 0.0
        slope = 1 + b - lr * curvature, -b
    return np.abs(np.linalg.eigvals(np.array([slope, (1.0, 0.0)]))).max()


def verdicts(folder, **constants):
    claims = register.checks[NAME].make(gdlab.open_results(folder / NAME), **constants)
    return {claim.name: judge(claim).status for claim in claims}


def test_edge_of_stability_claims_hold_and_fail_with_other_constants(reproduced, tmp_path):
    claims = reproduced("edge_of_stability", "size=fast")
    assert claims.pop("gd, small rate: greatest sharpness / threshold")["status"] == "unchecked"
    assert {claim["status"] for claim in claims.values()} == {"held"}
    ratios = [f"{rule}: sharpness / threshold" for rule in ("gd", "heavy-ball", "nesterov")]
    wrong = verdicts(tmp_path, constant=2.2)
    assert {wrong[name] for name in ratios} == {"failed"}
    wrong = verdicts(tmp_path, beta=0.5)
    assert [wrong[name] for name in ratios] == ["held", "failed", "failed"]
    data = gdlab.open_results(tmp_path / NAME)
    for rule in ("gd", "heavy-ball", "nesterov"):
        one = data.sel(rule=rule).isel(seed=0).transpose(..., "step")
        late = one["sharpness"].values[1, len(one["step"]) // 2 :].mean()
        lr = one[f"rules.{rule}.lr"].values[1]
        assert spectral_radius(rule, lr, 0.9, 0.94 * late) < 1 - 1e-6
        assert spectral_radius(rule, lr, 0.9, 1.06 * late) > 1 + 1e-6


@pytest.mark.slow
def test_edge_of_stability_claims_hold_for_three_seeds(reproduced):
    assert {claim["status"] for claim in reproduced("edge_of_stability").values()} == {"held"}
