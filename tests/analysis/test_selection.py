"""The best point of a sweep, against NumPy."""

import numpy as np
import pytest
import xarray

from gdlab.analysis.selection import best, locate

LRS, BETAS = np.geomspace(1e-3, 1, 6), np.array([0.0, 0.5, 0.9])


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    shape = (2, 6, 3, 5)
    loss, diverged_at = rng.uniform(size=shape), np.full(shape, -1)
    diverged_at[:, -1] = 7
    loss[diverged_at >= 0] = np.nan
    dims = ("rule", "lr", "beta", "seed")
    return xarray.Dataset(
        {
            "final_loss": (dims, loss),
            "best_loss": (dims, np.where(diverged_at >= 0, 0.0, loss)),
            "diverged_at": (dims, diverged_at),
            "eval_accuracy": (dims, 1 - loss),
            "converged_at": (dims, np.full(shape, -1)),
            "loss": ((*dims, "step"), np.zeros((*shape, 2))),
        },
        {"rule": ["gd", "adam"], "lr": LRS, "beta": BETAS, "seed": np.arange(5), "step": [0, 1]},
    )


def oracle(data, rule):
    medians = np.median(np.nan_to_num(data["final_loss"].values[rule], nan=np.inf), axis=-1)
    lr, beta = np.unravel_index(medians.argmin(), medians.shape)
    return LRS[lr], BETAS[beta], medians[lr, beta]


def test_it_is_the_least_median_over_all_dims(data):
    top = best(data)
    for i in range(2):
        one = top.isel(rule=i)
        assert (one["lr"].item(), one["beta"].item(), one["final_loss"].item()) == oracle(data, i)
    assert top["runs"].values.tolist() == [5, 5]
    assert top["found"].all()


def test_the_order_of_the_dims_does_not_matter(data):
    xarray.testing.assert_identical(best(data), best(data.transpose("step", "seed", "beta", "lr", "rule")))


def test_dims_not_chosen_along_stay(data):
    top = best(data, over=["lr"])
    assert top["final_loss"].sizes == {"rule": 2, "beta": 3}
    medians = np.median(np.nan_to_num(data["final_loss"].values, nan=np.inf), axis=-1)
    np.testing.assert_array_equal(top["final_loss"], medians.min(axis=1))
    np.testing.assert_array_equal(top["lr"], LRS[medians.argmin(axis=1)])


def test_a_diverged_run_is_the_worst_in_every_metric(data):
    for metric in ("best_loss", "eval_accuracy"):
        top = best(data, metric)
        assert (top["lr"] < 1).all(), metric
        assert top["diverged"].sum() == 0


def test_half_of_the_seeds_diverged_is_never_chosen_less_than_half_may_be():
    loss = np.array([[0.1, 0.1, np.nan, np.nan], [0.2, 0.2, 0.2, np.nan], [0.3, 0.3, 0.3, 0.3]])
    top = best(xarray.Dataset({"final_loss": (("lr", "seed"), loss)}, {"lr": [1.0, 2.0, 3.0]}))
    assert (top["lr"].item(), top["final_loss"].item(), top["diverged"].item()) == (2.0, 0.2, 1)


def test_accuracy_is_best_where_greatest(data):
    np.testing.assert_array_equal(best(data, "eval_accuracy")["lr"], best(data)["lr"])


def test_never_converged_is_not_early(data):
    assert not best(data, "converged_at")["found"].any()
    data["converged_at"][0, 3, 1] = 40
    top = best(data, "converged_at").isel(rule=0)
    assert (top["converged_at"].item(), top["lr"].item(), top["beta"].item()) == (40, LRS[3], 0.5)


def test_equal_points_the_first_wins():
    flat = xarray.Dataset({"final_loss": (("lr", "beta"), np.ones((3, 2)))}, {"lr": [1.0, 2, 3], "beta": [4.0, 5]})
    assert (best(flat)["lr"].item(), best(flat)["beta"].item()) == (1, 4)


def test_all_diverged_is_flagged(data):
    data["diverged_at"][0] = 3
    top = best(data)
    assert top["found"].values.tolist() == [False, True]
    assert np.isnan(top["lr"].values[0])
    assert np.isnan(top["final_loss"].values[0])
    assert top["lr"].values[1] == oracle(data, 1)[0]


def test_zipped_and_named_axes_are_coordinates():
    zipped = xarray.Dataset(
        {"final_loss": (("lr_beta", "batch_size"), [[3.0, 2.0], [1.0, 4.0]])},
        {"lr": ("lr_beta", [0.1, 0.2]), "beta": ("lr_beta", [0.5, 0.9]), "batch_size": np.array(["8", "all"], object)},
    )
    top = best(zipped)
    assert (top["lr"].item(), top["beta"].item(), top["batch_size"].item()) == (0.2, 0.9, "8")
    nowhere = best(zipped * np.nan)
    assert np.isnan(nowhere["lr"].item())
    assert nowhere["batch_size"].item() is None


def test_positions_select_from_series(data):
    places = locate(data)
    assert data["loss"].isel(places).sizes == {"rule": 2, "seed": 5, "step": 2}
    np.testing.assert_array_equal(data["lr"].isel(lr=places["lr"]).values, best(data)["lr"].values)


@pytest.mark.parametrize(
    ("metric", "over", "says"),
    [("los", None, "no 'los'"), ("loss", None, "is a series"), ("final_loss", ["gamma"], "along gamma")],
)
def test_what_is_not_there_is_named(data, metric, over, says):
    with pytest.raises(ValueError, match=says):
        best(data, metric, over)
