"""Filter normalisation: the claims, no normalisation, and irregularity of known surfaces."""

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray

import gdlab
from gdlab import register
from gdlab.analysis.claims import judge
from gdlab.config import load

NAME = "filter-normalisation"
SAME, OTHER = (f"rescaled ReLU network, {how}: difference" for how in ("filter-normalised", "plain directions"))


def test_filter_normalisation_is_invariant_and_plain_directions_are_not(reproduced, tmp_path):
    claims = reproduced("filter_normalisation", "size=fast")
    assert {claims[SAME]["status"], claims[OTHER]["status"]} == {"held"}
    data = gdlab.open_results(tmp_path / NAME)
    swapped = {claim.name: judge(claim).status for claim in register.checks[NAME].make(data, normalise="none")}
    assert swapped[SAME] == "failed"
    # The centre of the plane is the trained network.
    surface = data["eval_surface"].squeeze().values
    np.testing.assert_allclose(surface[..., 15, 15], data["final_loss"].squeeze().values, rtol=1e-4)


@pytest.mark.parametrize("squeeze", [1.0, 2.0])
def test_irregularity_of_a_circle_and_an_ellipse(squeeze):
    """Contours of x^2 + (squeeze y)^2 have a radius proportional to 1 / sqrt(cos^2 t + (squeeze sin t)^2)."""
    load(Path(__file__).parents[2] / "configs" / "filter_normalisation.yaml")
    home = sys.modules[register.checks[NAME].make.__module__]
    along, angles = np.linspace(-1, 1, 31), np.arange(64) * 2 * np.pi / 64
    surface = 2 * (along[None, :] ** 2 + (squeeze * along[:, None]) ** 2) + 1e-3
    data = xarray.Dataset(
        {
            "eval_surface": (("rule", "lr", "b", "a"), surface[None, None]),
            "final_loss": (("rule", "lr"), [[0.0]]),
        }
    )
    exact = np.log(np.cos(angles) ** 2 + (squeeze * np.sin(angles)) ** 2).std() / 2
    assert float(home.irregularity(data)) == pytest.approx(exact, abs=0.015)


@pytest.mark.slow
def test_filter_normalisation_claims_do_not_fail_for_three_seeds(reproduced):
    claims = reproduced("filter_normalisation")
    assert claims[SAME]["status"] == claims[OTHER]["status"] == "held"
    assert "failed" not in {claim["status"] for claim in claims.values()}
