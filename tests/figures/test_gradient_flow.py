"""Gradients by layer."""

import numpy as np
import pytest
import xarray

from gdlab.errors import SelectionError
from gdlab.figures import gradient_flow

STEPS, LRS, LAYERS = np.arange(0, 60, 3), np.array([0.01, 0.1, 1.0]), 4


@pytest.fixture
def runs():
    """Norms of 2^layer / (1 + step) times the rate and the seed, measured at every second record; lr = 1 diverges."""
    norms = 2.0 ** np.arange(LAYERS) / (1 + STEPS[:, None])
    norms = np.array([1.0, 3.0])[:, None, None, None, None] * LRS[:, None, None, None] * norms
    norms = norms * np.array([1.0, 2.0, 5.0])[:, None, None]
    norms[..., 1::2, :] = np.nan
    diverged = np.full((2, 3, 3), -1)
    diverged[:, 2] = 15
    norms[:, 2, :, STEPS >= 15] = np.nan
    dims = ("rule", "lr", "seed")
    final = np.where(diverged >= 0, np.nan, np.array([2.0, 1.0, 0.5])[:, None])
    return xarray.Dataset(
        {
            "layer_grad_norms": ((*dims, "step", "layer_grad_norms_0"), norms),
            "diverged_at": (dims, diverged),
            "final_loss": (dims, final),
        },
        {"rule": np.array(["gd", "adam"], object), "lr": LRS, "seed": np.arange(3), "step": STEPS},
    )


def heat_of(axes):
    (mesh,) = [one for one in axes.collections if one.get_gid() == "heat"]
    return mesh.get_array()


def test_layers_are_rows_and_steps_are_columns_at_the_best_rate(runs):
    figure = gradient_flow(runs)
    for rule, axes in enumerate(figure.axes[:2]):
        drawn = heat_of(axes)
        expected = np.median(runs["layer_grad_norms"].values[rule, 1, :, ::2], axis=0).T
        np.testing.assert_allclose(np.ma.getdata(drawn).reshape(LAYERS, 10), expected)
        assert not np.ma.getmaskarray(drawn).any()
        assert axes.get_ylim() == (-0.5, LAYERS - 0.5)
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["gd  lr 0.1", "adam  lr 0.1"]


def test_a_diverged_run_can_be_looked_at(runs, words):
    figure = gradient_flow(runs, at={"lr": 1.0}, select={"rule": ["adam"]})
    drawn = heat_of(figure.axes[0])
    # Nothing is recorded after the divergence, of no run that is shown: the axis ends there.
    assert np.ma.getdata(drawn).reshape(LAYERS, -1).shape == (LAYERS, 3)
    assert figure.axes[0].get_title(loc="left") == "adam  lr 1"
    assert "3 diverged" in words(figure)
    runs["diverged_at"][1, 2, 0] = -1
    runs["layer_grad_norms"][1, 2, 0] = 1.0
    both = gradient_flow(runs, at={"lr": 1.0}, select={"rule": ["adam"]})
    assert np.ma.getmaskarray(heat_of(both.axes[0])).any()
    assert "Hatched: diverged" in words(both)


def test_layers_have_names_or_numbers(runs):
    def ticks(figure):
        return [label.get_text() for label in figure.axes[0].get_yticklabels()]

    assert ticks(gradient_flow(runs)) == ["1", "2", "3", "4"]
    names = ["in", "a", "b", "out"]
    runs["layer_grad_norms"].attrs["layers"] = names
    assert ticks(gradient_flow(runs)) == names
    runs["layer_grad_norms"].attrs = {}
    assert ticks(gradient_flow(runs.assign_coords(layer_grad_norms_0=names))) == names


def test_errors_name_what_is_missing(runs):
    with pytest.raises(SelectionError, match="no series 'layer_update_norms'"):
        gradient_flow(runs, series="layer_update_norms")
    with pytest.raises(SelectionError, match="no dim of layers"):
        gradient_flow(runs.isel(layer_grad_norms_0=0))
    with pytest.raises(SelectionError, match="varies along beta"):
        gradient_flow(runs.expand_dims(beta=[0.0, 0.9]))
    with pytest.raises(SelectionError, match="at must be 'best'"):
        gradient_flow(runs, at="worst")


@pytest.mark.parametrize("width", ["single", "double"])
def test_one_run_draws(runs, width):
    gradient_flow(runs.isel(rule=0, lr=0, seed=0), width=width).draw_without_rendering()
