"""`wrapper` and `inner_rule`: how a wrapper names, makes and passes hyperparameters to its inner rule."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import Problem, sweep
from gdlab.engine.space import SpaceError
from gdlab.rules import adam, gd, momentum
from gdlab.rules.chain import chain
from gdlab.rules.clip_by_norm import clip_by_norm
from gdlab.rules.hyperparameters import hyperparameters
from gdlab.rules.lookahead import lookahead
from gdlab.rules.wrapping import around, rule_factory
from tests.rules.wrapper_cases import G, X, same, updates


@pytest.mark.parametrize(
    "of",
    ["adam", "optax:adam", adam, optax.adam, functools.partial(adam, b1=0.9), lambda lr, b1: adam(lr, b1, 0.999)],
    ids=["kind", "optax", "factory", "optax factory", "partial", "function"],
)
def test_wrapper_takes_a_kind_an_optax_name_or_a_factory(of):
    expected = updates(adam(lr=0.1, b1=0.5))
    with jax.numpy_dtype_promotion("standard"):
        same(updates(clip_by_norm(of=of, max_norm=1e9, lr=0.1, b1=0.5)), expected, rtol=1e-4)
        same(updates(around(clip_by_norm, of)(max_norm=1e9, lr=0.1, b1=0.5)), expected, rtol=1e-4)


def test_wrapper_leaves_the_default_lr_to_the_inner_rule():
    same(updates(clip_by_norm(of="adam", max_norm=1e9)), updates(adam()))
    same(updates(clip_by_norm(of="gd", max_norm=1e9)), updates(gd()))


def test_wrapper_wraps_a_wrapper():
    one = lookahead(of=functools.partial(clip_by_norm, of="adam"), lr=0.1, period=2, pull=0.5, max_norm=1.0, b1=0.5)
    other = lookahead(of=lambda: chain(optax.clip_by_global_norm(1.0), adam(lr=0.1, b1=0.5)), period=2, pull=0.5)
    same(updates(one), updates(other), rtol=1e-4)


@pytest.mark.parametrize("of", [adam(lr=0.1, b1=0.5), optax.adam(0.1, 0.5)], ids=["gdlab", "optax"])
def test_wrapper_takes_a_rule_that_is_already_built(of):
    with jax.numpy_dtype_promotion("standard"):
        expected = updates(lookahead(of="adam", lr=0.1, b1=0.5, period=2))
        same(updates(lookahead(of=of, period=2)), expected, rtol=1e-4)
        same(updates(around(lookahead, of)(period=2)), expected, rtol=1e-4)
    assert hyperparameters(functools.partial(lookahead, of=of)) == {"of", "period", "pull"}


def test_wrapper_refuses_hyperparameters_of_a_rule_that_is_already_built():
    with pytest.raises(TypeError, match=r"`of` is .* already built, so lr and b1 can't be set on it: pass its factory"):
        lookahead(of=adam(lr=0.1), lr=0.2, b1=0.5)


BOWL = Problem(init=lambda key: jnp.ones(2), loss=lambda x, batch: 0.5 * jnp.sum(x**2))


def test_wrapper_ignores_a_sweep_axis_of_another_rule():
    over = {"lr": [0.1, 0.2], "beta": [0.5, 0.9]}
    both = sweep(BOWL, {"clipped": clip_by_norm, "momentum": momentum}, over, steps=3)["final_loss"]
    alone = sweep(BOWL, clip_by_norm, {"lr": [0.1, 0.2]}, steps=3)["final_loss"]
    for column in both.sel(rule="clipped").transpose("beta", "lr"):
        np.testing.assert_allclose(column, alone, rtol=1e-6)
    alone = sweep(BOWL, momentum, over, steps=3)["final_loss"]
    np.testing.assert_allclose(both.sel(rule="momentum"), alone, rtol=1e-6)
    with pytest.raises(SpaceError, match="unknown axis 'beta'"):
        sweep(BOWL, clip_by_norm, over, steps=3)


def test_wrapper_in_a_sweep_over_inner_rules_passes_each_its_own_axes():
    over = {"of": ["gd", "momentum"], "lr": [0.1, 0.2], "beta": [0.5, 0.9]}
    data = sweep(BOWL, clip_by_norm, over, steps=3)["final_loss"]
    for of, names in (("gd", ["lr"]), ("momentum", ["lr", "beta"])):
        factory = functools.partial(clip_by_norm, of=of)
        expected = sweep(BOWL, factory, {name: over[name] for name in names}, steps=3)["final_loss"]
        np.testing.assert_allclose(data.sel(of=of), expected.broadcast_like(data.sel(of=of)), rtol=1e-6)
    axes = {"rules.clipped.of": over["of"], "lr": over["lr"], "rules.clipped.beta": over["beta"]}
    labelled = sweep(BOWL, {"clipped": clip_by_norm}, axes, steps=3)["final_loss"]
    np.testing.assert_allclose(labelled.squeeze("rule"), data, rtol=1e-6)


def test_wrapper_takes_schedules_for_its_own_and_the_inner_rules_numbers():
    falling = lambda t: 1.0 / (t + 1)
    rule = clip_by_norm(of="momentum", lr=falling, beta=falling, max_norm=falling)
    state, x = rule.init(X), X
    inner = momentum().init(X)
    for t, g in enumerate(G):
        got, state = rule.update(g, state, x)
        clipped = g * min(1.0, falling(t) / np.linalg.norm(g))
        expected, inner = momentum(lr=falling(t), beta=falling(t)).update(clipped, inner, x)
        same(got, expected, rtol=1e-5)


def test_wrapper_refuses_an_unknown_rule_or_hyperparameter():
    with pytest.raises(ValueError, match=r"there is no rule 'adamm' \(did you mean adam\?\)"):
        clip_by_norm(of="adamm")
    with pytest.raises(ValueError, match="optax has no optimiser 'xyz'"):
        rule_factory("optax:xyz")
    with pytest.raises(TypeError, match="b11"):
        clip_by_norm(of="adam", b11=0.5)
    with pytest.raises(TypeError, match="lr"):
        clip_by_norm(of=lambda rate: gd(2 * rate), lr=0.5)
