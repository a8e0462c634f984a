"""A config is refused exactly if one of its figures can't be drawn."""

import numpy as np
import pytest
import xarray

import gdlab.figures  # noqa: F401  (registers the figures)
from gdlab import register
from gdlab.errors import SelectionError


def results(sizes):
    rng = np.random.default_rng(0)
    dims = tuple(sizes)
    loss = rng.uniform(1, 2, tuple(sizes.values()))
    coords = {
        dim: [f"rule {i}" for i in range(n)] if dim == "rule" else np.arange(1.0, n + 1) for dim, n in sizes.items()
    }
    variables = {"final_loss": (dims, loss), "loss": ((*dims, "step"), np.stack([loss, loss / 2], axis=-1))}
    variables["sharpness"] = variables["loss"]
    variables["layer_grad_norms"] = ((*dims, "step", "layer"), rng.uniform(1, 2, (*loss.shape, 2, 3)))
    return xarray.Dataset(variables, coords | {"step": [0, 1]})


CASES = [
    ("lr_sensitivity", {"rule": 2, "lr": 3, "seed": 2}, {}),
    ("lr_sensitivity", {"rule": 2, "lr.peak": 3}, {}),
    ("lr_sensitivity", {"rule": 2, "beta": 3}, {}),
    ("lr_sensitivity", {"lr": 3, "a": 2, "b": 2}, {}),
    ("lr_sensitivity", {"lr": 3, "a": 2, "b": 2}, {"select": {"b": 1}}),
    ("lr_sensitivity", {"lr": 3, "a": 2, "b": 1}, {}),
    ("lr_sensitivity", {"lr": 2, "a": 13}, {}),
    ("lr_sensitivity", {"lr": 2, "a": 13}, {"select": {"a": [1, 2]}}),
    ("loss_curves", {"rule": 2, "lr": 2, "a": 2}, {}),
    ("loss_curves", {"rule": 2, "lr": 2, "a": 2, "b": 2}, {}),
    ("loss_curves", {"rule": 2, "lr": 2, "a": 2, "b": 2}, {"over": ["lr", "b"]}),
    ("loss_curves", {"rule": 2, "lr": 2, "a": 2, "b": 2}, {"at": {"b": 1}}),
    ("loss_curves", {"lr": 2, "a": 13}, {}),
    ("rule_panels", {"rule": 3, "lr": 3}, {}),
    ("rule_panels", {"rule": 3, "lr": 3, "a": 2}, {}),
    ("rule_panels", {"rule": 3, "a": 2}, {}),
    ("gradient_flow", {"rule": 2, "lr": 3, "seed": 2}, {}),
    ("gradient_flow", {"rule": 13, "lr": 2}, {}),
    ("gradient_flow", {"rule": 2, "lr": 3, "a": 2}, {}),
    ("gradient_flow", {"rule": 2, "lr": 3, "a": 2}, {"select": {"a": 1}}),
    ("sharpness", {"rule": 4, "lr": 3}, {}),
    ("sharpness", {"rule": 5, "lr": 3}, {}),
    ("sharpness", {"rule": 3, "lr": 3}, {"width": "single"}),
    ("sharpness", {"rule": 2, "lr": 3, "a": 2}, {}),
    ("sharpness_map", {"rule": 5, "lr": 3}, {}),
    ("sharpness_map", {"rule": 13, "lr": 2}, {}),
    ("sharpness_map", {"lr": 2, "a": 2}, {}),
]


@pytest.mark.parametrize(("kind", "sizes", "options"), CASES)
def test_needs_gives_a_reason_exactly_where_drawing_fails(kind, sizes, options):
    entry = register.figures[kind]
    reason = entry.info["needs"]({dim: (dim, size) for dim, size in sizes.items()}, options)
    if reason:
        with pytest.raises(SelectionError):
            entry.make(results(sizes), **options)
    else:
        entry.make(results(sizes), **options)


def test_needs_knows_chains_and_zipped_axes():
    needs = register.figures["lr_sensitivity"].info["needs"]
    rule, zipped = {"rule": ("rule", 2)}, {"lr": ("lr_beta", 9), "beta": ("lr_beta", 9)}
    assert needs(rule | {"lr": ("run", 9), "beta": ("run", 9)}, {}) == ""
    assert needs(rule | zipped | {"a": ("a", 3)}, {}) == ""
    assert needs(rule | {"beta": ("run", 9)}, {}) == "needs the dim lr or lr.peak, which the sweep lacks"
    assert needs(zipped | {"a": ("a", 2), "b": ("b", 2)}, {}) == (
        "can have panels for one axis, but a and b vary: choose a value with select"
    )
    alone = register.figures["rule_panels"].info["needs"]
    assert alone(rule | zipped, {}) == ""
    assert alone(rule | zipped | {"a": ("a", 2)}, {}) == "can't show a: choose a value with select"
