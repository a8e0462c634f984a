"""Two values of an axis are the same if no function can distinguish them."""

import copy
import dataclasses
import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import chain, evaluate
from gdlab.engine.identity import bits, identity
from gdlab.engine.plan import distinct
from gdlab.engine.space import SpaceError, space

SPARSE = np.zeros(2000)
ALMOST = np.array([1.0, 1.0 + 1e-9])


class Pair(NamedTuple):
    a: object
    b: object


@dataclasses.dataclass
class Layer:
    width: object


@dataclasses.dataclass(eq=False)
class Tag:
    width: object


class Unhashable:
    __hash__ = None

    def __repr__(self):
        return "unhashable"


class Named(list):
    pass


def named(name, *values):
    made = Named(values)
    made.name = name
    return made


def with_one(place, value=5.0):
    array = SPARSE.copy()
    array[place] = value
    return array


DIFFERENT = {
    "scalars": [True, 1, 1.0, 1 + 0j, "1", b"1", None, False, 0, 0.0, -0.0, complex(0.0, -0.0)],
    "neighbours": [0.1, np.nextafter(0.1, 1), np.float32(0.1), 1e-320, float("inf"), float("nan")],
    "containers": [(1,), (True,), (1.0,), [1], [True], [1.0], {1}, {True}, frozenset([1]), Pair(1, 2), (1, 2), ((1,),)],
    "signed zeros inside": [(0.0,), (-0.0,), [0.0], [-0.0], {"a": 0.0}, {"a": -0.0}, Layer(0.0), Layer(-0.0)],
    "mappings": [{}, {"a": 1}, {"a": True}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {1: "a"}, {True: "a"}],
    "dataclasses": [Layer(1), Layer(1.0), Layer([1]), Layer(SPARSE), Layer(with_one(3)), Tag(1), Tag(1), Layer],
    "long arrays": [SPARSE, with_one(1000), with_one(1001), [SPARSE], [with_one(1000)], SPARSE.reshape(2, -1)],
    "close arrays": [np.ones(2), ALMOST, ALMOST.astype(np.float32), np.ones(2, int), np.ones(2, bool), [1.0, 1.0]],
    "JAX's arrays": [jnp.zeros(2), jnp.zeros(2, int), np.zeros(2, np.float32), jnp.asarray(0.0), jnp.float32(0.0)],
    "signed zeros in arrays": [np.zeros(2), -np.zeros(2), jnp.zeros(2), -jnp.zeros(2)],
    "arrays of objects": [
        np.array([1, None]),
        np.array([True, None]),
        np.array([1.0, None]),
        np.array([Layer(1), None]),
    ],
    "masked": [np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0]), np.array([1, 2])],
    "keys": [jax.random.key(0), jax.random.key(1), jax.random.key(0, impl="rbg")],
    "objects": [Unhashable(), Unhashable(), [Unhashable()], object(), object(), lambda: 1, lambda: 1, int, float],
    "attributes": [named("a", 1), named("b", 1), named("a", 2), [1], [("name", "a")], named("a")],
}


@pytest.mark.parametrize("values", DIFFERENT.values(), ids=DIFFERENT)
def test_identity_distinguishes_different_values(values):
    for one, other in itertools.combinations(values, 2):
        assert identity(one) != identity(other), (one, other)
    for value in values:
        assert identity(value) == identity(value)
        assert hash(identity(value)) == hash(identity(value))


SAME = [
    ([1, (2.5, None), {"a": -0.0}], [1, (2.5, None), {"a": -0.0}]),
    (Layer([1, "a"]), Layer([1, "a"])),
    (Pair(1, SPARSE), Pair(1, SPARSE.copy())),
    (np.asfortranarray(np.ones((2, 3))), np.ones((2, 3))),
    (np.arange(10)[::2], np.array([0, 2, 4, 6, 8])),
    (jnp.arange(3), jnp.arange(3)),
    (jax.random.key(7), jax.random.key(7)),
    (np.float64(0.5), 0.5),
    (np.int32(3), 3),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (float("nan"), np.float64("nan")),
    (np.array([None, "a"]), np.array([None, "a"])),
    (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[0, 1])),
    ([SPARSE, {"h": with_one(4)}], copy.deepcopy([SPARSE, {"h": with_one(4)}])),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=[str(number) for number in range(len(SAME))])
def test_identity_is_that_of_an_equal_value(one, other):
    assert identity(one) == identity(other)
    assert hash(identity(one)) == hash(identity(other))


def test_identity_of_a_container_that_holds_itself():
    one, other = [1], [1]
    one.append(one)
    other.append(other)
    assert identity(one) == identity(one)
    assert identity(one) != identity(other)


def test_bits_are_equal_only_for_equal_numbers():
    values = np.array([0.0, -0.0, 1.0, np.nextafter(1, 2), np.inf, -np.inf, 1e-320])
    assert len(set(bits(values).tolist())) == len(values)
    assert bits(values).tolist() == bits(values.copy()).tolist()
    for dtype in (np.int8, np.int64, np.uint32):
        assert bits(np.array([3, 0, 3], dtype)).tolist() == [3, 0, 3]
    halves = np.array([0.5, 0.25, 0.5])
    for dtype in (np.float16, np.float32, np.longdouble):
        assert bits(halves.astype(dtype)).tolist() == bits(halves).tolist()


def test_distinct_distinguishes_signed_zeros_and_neighbouring_floats():
    first, inverse = distinct((np.array([0.0, -0.0, 0.0, 1.0, np.nextafter(1, 2)]), np.array([1, 1, 1, 2, 2])), 5)
    assert (first.tolist(), inverse.tolist()) == ([0, 1, 3, 4], [0, 1, 0, 2, 3])


def test_evaluate_keeps_arrays_with_equal_repr_apart():
    points = [SPARSE, with_one(1000), with_one(1001, 7.0)]
    np.testing.assert_array_equal(evaluate(lambda x: jnp.sum(jnp.asarray(x)), {"x": points})["value"], [0, 5, 7])
    with pytest.raises(SpaceError, match="twice, at positions 0 and 3"):
        evaluate(lambda x: jnp.sum(jnp.asarray(x)), {"x": [*points, SPARSE.copy()]})


@pytest.mark.usefixtures("x64")
def test_evaluate_keeps_arrays_apart_that_differ_in_the_last_digits():
    values = evaluate(lambda x: jnp.asarray(x)[1], {"x": [np.ones(2), ALMOST]})["value"]
    np.testing.assert_array_equal(values, [1.0, 1.0 + 1e-9])


@pytest.mark.usefixtures("x64")
def test_evaluate_keeps_neighbouring_numbers_apart_in_double_precision():
    x = np.array([1.0, np.nextafter(1, 2), 1.0 + 1e-9])
    np.testing.assert_array_equal(evaluate(lambda x: x * 2, {"x": x})["value"], x * 2)
    np.testing.assert_array_equal(evaluate(lambda x: 2 * jnp.asarray(x), {"x": x}, static=["x"])["value"], x * 2)


def kind_of(value):
    return jnp.asarray({bool: 0, int: 1, float: 2}[type(value)])


def test_evaluate_keeps_booleans_and_numbers_inside_tuples_apart():
    values = evaluate(lambda x: kind_of(x[0]), {"x": [(True,), (1,), (1.0,)]})["value"]
    np.testing.assert_array_equal(values, [0, 1, 2])


@pytest.mark.parametrize("static", [(), ("x",)])
def test_evaluate_keeps_signed_zeros_apart(static):
    values = evaluate(lambda x: 1 / jnp.asarray(x, jnp.float32), {"x": [0.0, -0.0]}, static=static)["value"]
    np.testing.assert_array_equal(values, [np.inf, -np.inf])


def test_chain_keeps_points_with_equal_repr_apart():
    over = chain({"h": [SPARSE]}, {"h": [with_one(1000), SPARSE.copy()]}, {"h": [None]})
    values = evaluate(lambda h: jnp.asarray(-1.0) if h is None else jnp.sum(jnp.asarray(h)), over)["value"]
    np.testing.assert_array_equal(values, [0, 5, -1])


def test_chain_keeps_signed_zeros_apart():
    over = chain({"x": [0.0]}, {"x": [-0.0, 0.0]})
    values = evaluate(lambda x: jnp.copysign(jnp.float32(1), x), over)["value"]
    np.testing.assert_array_equal(values, [1, -1])


@pytest.mark.parametrize("values", [([1, 2], [1.0, 2.0]), ([1.0, 2.0], [1, 2])])
def test_chain_makes_an_axis_of_integers_and_floats_one_of_floats(values):
    first, second = values
    run, x = space(chain({"a": [1, 2], "x": first}, {"a": [3], "x": second})).blocks
    assert (run.dim, x.dim) == ("run", "x")
    assert x.columns[0].dtype == np.float64
    assert x.columns[0].tolist() == [1.0, 2.0]


def test_identity_of_functions_with_equal_code_differs():
    makers = [functools.partial(jnp.multiply, 2.0), functools.partial(jnp.multiply, 3.0)]
    np.testing.assert_array_equal(
        evaluate(lambda f, x: f(x), {"f": makers, "x": [1.0, 2.0]})["value"], [[2, 4], [3, 6]]
    )
