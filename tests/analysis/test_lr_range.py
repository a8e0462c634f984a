"""The band of good rates, against the same definition in plain NumPy."""

import numpy as np
import pytest
import xarray

from gdlab.analysis.lr_range import rate_band

RATES = np.array([0.01, 0.1, 1.0, 10.0])


def results(losses, start=2.0):
    """[rule, lr, seed] losses; NaN: diverged."""
    losses = np.asarray(losses, float)
    names = [f"r{i}" for i in range(len(losses))]
    first = np.full((*losses.shape, 1), start)
    return xarray.Dataset(
        {
            "final_loss": (("rule", "lr", "seed"), losses),
            "diverged_at": (("rule", "lr", "seed"), np.where(np.isnan(losses), 3, -1)),
            "eval_accuracy": (("rule", "lr", "seed"), 1 - losses / 4),
            "loss": (("rule", "lr", "seed", "step"), first),
        },
        {"rule": names, "lr": RATES, "seed": np.arange(losses.shape[2]), "step": [0]},
    )


def test_a_band_ends_where_a_tenth_of_the_gain_is_given_back():
    data = results([[[1.9] * 3, [0.19, 0.2, 0.21], [0.1, 0.1, 0.13], [np.nan] * 3]])
    found = rate_band(data).sel(rule="r0")
    # gained 1.9 at the best rate: good is up to 0.1 + 0.19
    assert (found["best"], found["low"], found["high"]) == (1.0, 0.1, 1.0)
    assert found["decades"] == pytest.approx(1)
    assert found["spread"] == pytest.approx(0.03)
    assert rate_band(data, tolerance=0.05).sel(rule="r0")["low"] == 1.0


def test_a_worse_rate_between_ends_the_band():
    data = results([[[0.1], [1.5], [0.1], [0.12]]])
    found = rate_band(data).sel(rule="r0")
    assert (found["best"], found["low"], found["high"]) == (0.01, 0.01, 0.01)
    assert found["decades"] == 0


def test_a_rule_that_always_diverged_has_no_band_and_a_lost_seed_an_infinite_spread():
    data = results([[[np.nan] * 3] * 4, [[1.0] * 3, [0.1, 0.1, np.nan], [1.0] * 3, [1.0] * 3]])
    found = rate_band(data)
    assert np.isnan(found["best"][0])
    assert found["best"][1] == 0.1
    assert np.isinf(found["spread"][1])


def test_of_an_accuracy_the_greatest_is_best():
    data = results([[[4.0], [0.4], [0.0], [0.3]]])
    found = rate_band(data, "eval_accuracy").sel(rule="r0")
    assert (found["best"], found["low"], found["high"]) == (1.0, 0.1, 10.0)


def test_other_axes_take_their_best_values():
    data = results([[[1.0], [0.5], [0.2], [0.9]]])
    wide = xarray.concat([data, data * 0.5], "beta").assign_coords(beta=[0.0, 0.9])
    wide["diverged_at"] = wide["diverged_at"].astype(int) * 0 - 1
    wide["loss"] = wide["loss"] * 0 + 2.0
    found = rate_band(wide).sel(rule="r0")
    assert found["best"] == 1.0
    assert found["low"] == 0.1  # 0.25 is within 0.1 + 0.19
