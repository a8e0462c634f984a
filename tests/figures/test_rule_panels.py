"""The figure with a panel for each rule."""

import numpy as np
import pytest

from gdlab.errors import SelectionError
from gdlab.figures import rule_panels


def of(axes, gid):
    return [mark for mark in (*axes.lines, *axes.patches) if mark.get_gid() == gid]


def test_panels_are_in_the_order_of_the_best_medians_and_show_every_rule(make):
    data = make([f"rule {i}" for i in range(14)], rates=9)
    worst = np.where(data["diverged_at"] >= 0, np.inf, data["final_loss"])
    medians = np.median(worst, axis=-1)
    figure = rule_panels(data)
    assert len(figure.axes) == 14
    order = np.argsort(medians.min(axis=1), kind="stable")
    for axes, rule in zip(figure.axes, order, strict=True):
        assert axes.get_title(loc="left").startswith(f"rule {rule}  ")
        (line,) = of(axes, "median")
        shown = np.where(np.isfinite(medians[rule]), medians[rule], np.nan)
        np.testing.assert_allclose(line.get_ydata(), shown)
        (star,) = of(axes, "best")
        assert star.get_xdata()[0] == data["lr"].values[medians[rule].argmin()]
        assert len(axes.lines) == 13 + 2
        assert len(of(axes, "diverged")) == (data["diverged_at"][rule] >= 0).any("seed").sum()
    kept = rule_panels(data, order=False)
    assert kept.axes[3].get_title(loc="left").startswith("rule 3")


def test_a_rule_that_always_diverged_is_labelled(make, words):
    data = make(rates=9)
    data["diverged_at"][1] = 3
    assert "every rate diverged" in words(rule_panels(data))


def test_another_axis_is_refused(make):
    with pytest.raises(SelectionError, match="a panel for each rule, but beta varies too"):
        rule_panels(make(extra={"beta": [0.0, 0.9]}))
