"""The names of the hyperparameters that a factory takes, and calls by those names."""

import functools

import optax
import pytest

from gdlab.rules import adam, from_optax, rmsprop
from gdlab.rules.hyperparameters import call, hyperparameters


def long(learning_rate, momentum=0.0):
    return learning_rate, momentum


def both(lr, learning_rate=1.0):
    return lr, learning_rate


def test_hyperparameters_are_the_names_in_the_signature():
    assert hyperparameters(adam) == {"lr", "b1", "b2", "eps"}
    assert hyperparameters(rmsprop) == {"lr", "decay", "eps", "momentum", "centred", "eps_inside"}
    assert hyperparameters(lambda: None) == frozenset()
    assert hyperparameters(lambda a, /, b, *c, d: None) == {"b", "d"}


def test_hyperparameters_of_a_factory_with_kwargs_are_none():
    assert hyperparameters(lambda lr, **rest: None) is None
    assert call(lambda **rest: rest, {"lr": 1, "x": 2}) == {"lr": 1, "x": 2}


def test_hyperparameters_and_call_accept_lr_for_learning_rate():
    assert hyperparameters(long) == {"learning_rate", "lr", "momentum"}
    assert hyperparameters(optax.sgd) >= {"learning_rate", "lr", "momentum"}
    assert call(long, {"lr": 0.5, "momentum": 0.25}) == (0.5, 0.25)
    assert call(long, {"learning_rate": 0.5}) == (0.5, 0.0)


def test_call_keeps_lr_and_learning_rate_apart_where_a_factory_has_both():
    assert hyperparameters(both) == {"lr", "learning_rate"}
    assert call(both, {"lr": 0.5, "learning_rate": 0.25}) == (0.5, 0.25)


def test_call_refuses_a_hyperparameter_under_both_names():
    with pytest.raises(TypeError, match="lr and learning_rate are the same hyperparameter; give one"):
        call(long, {"lr": 0.5, "learning_rate": 0.25})


def test_hyperparameters_of_a_partial_include_the_bound_ones():
    factory = functools.partial(long, learning_rate=0.5)
    assert hyperparameters(factory) == {"learning_rate", "lr", "momentum"}
    assert call(factory, {"lr": 0.125}) == (0.125, 0.0)
    assert call(factory, {"momentum": 0.25}) == (0.5, 0.25)
    assert hyperparameters(functools.partial(long, 0.5)) == {"momentum"}


def test_hyperparameters_declared_as_an_attribute_win_and_may_be_dotted():
    def factory(**values):
        return values

    factory.hyperparameters = {"learning_rate.peak", "beta"}
    names = {"learning_rate.peak", "lr.peak", "beta"}
    assert hyperparameters(factory) == names
    assert hyperparameters(functools.partial(factory, beta=0.5)) == names
    assert call(factory, {"lr.peak": 0.5, "beta": 0.25}) == {"learning_rate.peak": 0.5, "beta": 0.25}
    partial = functools.partial(factory)
    partial.hyperparameters = frozenset({"beta"})
    assert hyperparameters(partial) == {"beta"}


def test_hyperparameters_of_an_optax_rule_include_lr():
    assert hyperparameters(from_optax("sgd")) == {"lr", "momentum", "nesterov", "accumulator_dtype"}
