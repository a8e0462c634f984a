"""`at_most` refuses, from the axes of a sweep alone, what the figure itself refuses once it has the results."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray

from gdlab import figures, register
from gdlab.errors import SelectionError


def results(axes):
    """Results over the axes, `{name: (dim, size)}`, with a loss over 3 steps."""
    sizes = dict(axes.values())
    rng = np.random.default_rng(0)
    coords = {
        name: (dim, np.linspace(0.1, 0.9, size)) for name, (dim, size) in axes.items() if name not in ("rule", "seed")
    }
    coords |= {"rule": ["gd", "heavy"], "seed": np.arange(2), "step": np.arange(3)}
    dims, shape = list(sizes), list(sizes.values())
    final, counts = rng.uniform(1, 2, shape), np.full(shape, -1)
    variables = {
        "final_loss": (dims, final),
        "best_loss": (dims, final),
        "loss": ([*dims, "step"], rng.uniform(1, 2, [*shape, 3])),
        **dict.fromkeys(("diverged_at", "converged_at"), (dims, counts)),
    }
    return xarray.Dataset(variables, coords)


BASE = {"rule": ("rule", 2), "lr": ("lr", 3), "seed": ("seed", 2)}
BETA, L2 = {"beta": ("beta", 2)}, {"l2": ("l2", 2)}
ZIPPED = {"rule": ("rule", 2), "lr": ("lr_beta", 3), "beta": ("lr_beta", 3), "seed": ("seed", 2)}
CASES = [
    ("lr_sensitivity", BASE, {}, True),
    ("lr_sensitivity", BASE | BETA, {}, True),
    ("lr_sensitivity", BASE | BETA | L2, {}, False),
    ("lr_sensitivity", BASE | BETA | L2, {"select": {"l2": 0.1}}, True),
    ("lr_sensitivity", BASE | BETA | L2, {"select": {"l2": [0.1, 0.9]}}, False),
    ("lr_sensitivity", ZIPPED | L2, {}, True),
    ("loss_curves", BASE | BETA | L2, {}, False),
    ("loss_curves", BASE | BETA | L2, {"over": ["lr", "beta"]}, True),
    ("loss_curves", BASE | BETA | L2, {"at": {"lr": 0.1, "l2": 0.1}}, True),
    ("rule_panels", BASE, {}, True),
    ("rule_panels", ZIPPED, {}, True),
    ("rule_panels", BASE | BETA, {}, False),
]


@pytest.mark.parametrize(("kind", "axes", "options", "drawn"), CASES)
def test_needs_agrees_with_drawing(kind, axes, options, drawn):
    reason = register.figures[kind].info["needs"](axes, options)
    assert (reason == "") is drawn
    if drawn:
        plt.close(getattr(figures, kind)(results(axes), **options))
    else:
        assert "choose a value, as in select: {l2: ...}" in reason or kind == "rule_panels"
        with pytest.raises(SelectionError):
            getattr(figures, kind)(results(axes), **options)


@pytest.mark.parametrize("kind", ["sharpness", "sharpness_map"])
def test_a_figure_of_sharpness_has_no_room_for_another_axis(kind):
    needs = register.figures[kind].info["needs"]
    assert needs(BASE, {}) == ""
    assert (
        needs(BASE | BETA, {}) == "has no room for other axes, and beta vary: choose a value, as in select: {beta: ...}"
    )
    assert needs(BASE | BETA, {"select": {"beta": 0.5}}) == ""
