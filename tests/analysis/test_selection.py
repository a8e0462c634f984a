"""The best point of a sweep, against NumPy."""

import numpy as np
import pytest
import xarray

from gdlab.analysis.lr_range import rate_band
from gdlab.analysis.selection import best, diverged, locate, missing, reason_not_found, rule_per_batch_size
from gdlab.analysis.tuning_budget import expected_best, seed_interval

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
def test_errors_name_what_is_missing(data, metric, over, says):
    with pytest.raises(ValueError, match=says):
        best(data, metric, over)


def test_best_takes_the_greatest_of_a_metric_with_direction_max(data):
    psnr = data.assign(eval_psnr=(data["eval_accuracy"].dims, data["eval_accuracy"].values, {"direction": "max"}))
    np.testing.assert_array_equal(best(psnr, "eval_psnr")["lr"], best(data)["lr"])
    np.testing.assert_array_equal(best(psnr.isel(beta=0), "eval_psnr")["lr"], best(data.isel(beta=0))["lr"])
    lower = psnr.assign(eval_accuracy=data["eval_accuracy"].assign_attrs(direction="min"))
    assert (best(lower, "eval_accuracy")["eval_accuracy"] < best(data, "eval_accuracy")["eval_accuracy"]).all()


def test_best_direction_argument_decides_over_attribute_and_name(data):
    named = data.rename(eval_accuracy="eval_psnr")
    np.testing.assert_array_equal(best(named, "eval_psnr", direction="max")["lr"], best(data)["lr"])
    named["eval_psnr"].attrs["direction"] = "min"
    np.testing.assert_array_equal(best(named, "eval_psnr", direction="max")["lr"], best(data)["lr"])
    band = rate_band(data.isel(beta=0), "eval_accuracy")
    np.testing.assert_array_equal(rate_band(named.isel(beta=0), "eval_psnr", direction="max")["best"], band["best"])
    for wanted in (seed_interval, expected_best):
        xarray.testing.assert_equal(wanted(named, "eval_psnr", direction="max"), wanted(data, "eval_accuracy"))
    with pytest.raises(ValueError, match="direction of eval_psnr must be 'min' or 'max', not 'up'"):
        best(named, "eval_psnr", direction="up")


def interrupted(data, gone):
    """The results of an interrupted sweep: runs that have not been executed have fill values."""
    taken = xarray.where(data["diverged_at"] >= 0, data["diverged_at"], 9).where(~gone, -1)
    kept = {name: data[name].where(~gone) for name in ("final_loss", "best_loss", "eval_accuracy")}
    return data.assign(kept | {"diverged_at": data["diverged_at"].where(~gone, -1), "steps_taken": taken})


def test_best_counts_missing_runs_apart_from_diverged_ones(data):
    gone = xarray.zeros_like(data["final_loss"], bool)
    gone[0, :, :, 3:] = True
    gone[1] = True
    found = interrupted(data, gone)
    for one in (found, found.drop_vars("steps_taken")):
        top = best(one)
        assert top["found"].values.tolist() == [True, False]
        assert top["runs"].values.tolist() == [3, 0]
        assert top["missing"].values.tolist() == [2, 5]
        assert top["diverged"].values.tolist() == [0, 0]
        assert reason_not_found(top.isel(rule=1)) == "missing"
        assert int(missing(one).sum()) == int(gone.sum())
        assert int(diverged(one).sum()) == 3 * 3  # the last rate of the first rule
        medians = np.median(np.where(data["diverged_at"] >= 0, np.inf, data["final_loss"])[0, ..., :3], axis=-1)
        assert top["final_loss"].values[0] == medians.min()
    assert seed_interval(found)["seeds"].values.tolist() == [3, 0]
    assert expected_best(found)["points"].values.tolist() == [18, 0]
    assert np.isnan(expected_best(found)["expected"].values[1]).all()


def test_best_of_results_with_other_axes_joined_chooses_among_runs_that_exist(data):
    first, second = data.isel(lr=slice(0, 3), beta=[0]), data.isel(lr=slice(3, 6), beta=[1, 2])
    joined = xarray.combine_by_coords([first, second], join="outer", compat="no_conflicts")
    assert (
        int(missing(joined).sum()) == joined["final_loss"].size - first["final_loss"].size - second["final_loss"].size
    )
    for i in range(2):
        both = [best(part)["final_loss"].values[i] for part in (first, second)]
        assert best(joined)["final_loss"].values[i] == min(both)
    assert best(joined)["missing"].values.tolist() == [0, 0]


def test_reason_not_found_of_runs_that_never_converged_is_no_value(data):
    finished = data.assign(steps_taken=xarray.where(data["diverged_at"] >= 0, data["diverged_at"], 9))
    top = best(finished, "converged_at")
    assert [reason_not_found(top.isel(rule=i)) for i in range(2)] == ["no value", "no value"]
    finished["diverged_at"][:] = 3
    assert reason_not_found(best(finished).isel(rule=0)) == "diverged"


def test_best_keeps_integer_axes_integers(data):
    wide = data.rename(beta="width").assign_coords(width=[4, 8, 16])
    top = best(wide)
    assert np.issubdtype(top["width"].dtype, np.integer)
    assert top["width"].values.tolist() == [{0.0: 4, 0.5: 8, 0.9: 16}[oracle(data, i)[1]] for i in range(2)]
    wide["diverged_at"][0] = 3
    lost = best(wide)["width"].values.tolist()
    assert lost[0] is None
    assert type(lost[1]) is int


def test_rule_per_batch_size_has_a_best_point_for_each_batch_size(data):
    batched = data.rename(beta="batch_size").assign_coords(batch_size=np.array(["1", "32", "all"], object))
    split = rule_per_batch_size(batched)
    assert split["rule"].values[:4].tolist() == ["gd  batch 1", "gd  batch 32", "gd  batch all", "adam  batch 1"]
    top = best(split)
    for name, size in (("gd  batch 32", "32"), ("gd  batch all", "all")):
        alone = best(batched.sel(rule="gd", batch_size=size))
        assert top.sel(rule=name)["lr"].item() == alone["lr"].item()
        assert top.sel(rule=name)["final_loss"].item() == alone["final_loss"].item()
    one = rule_per_batch_size(batched.isel(rule=0, drop=True))
    assert one["rule"].values.tolist() == ["batch 1", "batch 32", "batch all"]
    assert rule_per_batch_size(data) is data


def test_rate_band_leaves_out_missing_runs_and_points_without_a_rate(data):
    chain = data.isel(rule=0, beta=0, drop=True).rename(lr="run")
    chain = chain.assign_coords(lr=("run", np.where(np.arange(6) == 2, np.nan, LRS)))
    chain["final_loss"][2] = 0.0
    expected = rate_band(chain.isel(run=[0, 1, 3, 4, 5]))
    xarray.testing.assert_equal(rate_band(chain), expected)
    gone = xarray.zeros_like(chain["final_loss"], bool)
    gone[:, 0] = True
    full = interrupted(chain, gone)
    xarray.testing.assert_equal(rate_band(full), rate_band(full.isel(seed=slice(1, None))))
