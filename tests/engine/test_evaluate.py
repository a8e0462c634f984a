"""`evaluate` equals a loop over the points of the space."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab import chain, evaluate
from gdlab.engine.space import SpaceError
from tests.engine.engine_cases import assert_same_bits

# Sums and products of these numbers are exact in float32, so the loop and the program agree to the bit.
small = st.integers(-20, 20)
axes = st.fixed_dictionaries(
    {
        "a": st.lists(small.map(float), min_size=1, max_size=3, unique=True),
        "n": st.lists(small, min_size=1, max_size=3, unique=True),
        ("b", "m"): st.lists(st.tuples(small.map(float), small), min_size=1, max_size=3, unique=True),
        "sign": st.lists(st.sampled_from(["plus", "minus"]), min_size=1, max_size=3, unique=True),
    }
)


def mixed(a, n, b, m, sign):
    total = a * jnp.float32(n) + 3 * b
    return {"total": total if sign == "plus" else -total, "whole": n * m, "pair": jnp.stack([a, b])}


def looped(point):
    total = point["a"] * point["n"] + 3 * point["b"]
    return {
        "total": total if point["sign"] == "plus" else -total,
        "whole": point["n"] * point["m"],
        "pair": [point["a"], point["b"]],
    }


@settings(derandomize=True, deadline=None, max_examples=30)
@given(axes, st.permutations(["a", "n", ("b", "m"), "sign"]), st.sampled_from([None, 1, 4]))
def test_evaluate_equals_a_loop_over_numbers_zips_and_strings(values, order, chunk):
    over = {names: values[names] for names in order}
    data = evaluate(mixed, over, chunk=chunk)
    dims = tuple("_".join(names) if isinstance(names, tuple) else names for names in over)
    assert data["total"].dims == data["whole"].dims == dims
    assert data["pair"].dims == (*dims, "pair_0")
    assert (data["total"].dtype, data["whole"].dtype) == (np.float32, np.int32)
    for place in itertools.product(*(range(len(rows)) for rows in over.values())):
        point = {}
        for names, rows, index in zip(over, over.values(), place, strict=True):
            point |= dict(zip(names, rows[index], strict=True)) if isinstance(names, tuple) else {names: rows[index]}
        for name, wanted in looped(point).items():
            np.testing.assert_array_equal(data[name].values[place], wanted)
    assert {name: data[name].values.tolist() for name in data.coords} == {
        "a": values["a"],
        "n": values["n"],
        "b": [b for b, _ in values["b", "m"]],
        "m": [m for _, m in values["b", "m"]],
        "sign": values["sign"],
    }
    assert data["b"].dims == data["m"].dims == ("b_m",)


@pytest.mark.usefixtures("x64")
def test_evaluate_equals_numpy_in_double_precision():
    x, y = np.linspace(-2, 2, 7), np.geomspace(0.1, 30, 5)
    data = evaluate(lambda x, y: jnp.exp(-(x**2)) * jnp.log(y), {"x": x, "y": y})
    assert data["value"].dtype == np.float64
    np.testing.assert_allclose(data["value"], np.exp(-(x[:, None] ** 2)) * np.log(y), rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(data["y"], y)


def test_evaluate_of_a_space_without_axes_is_one_point():
    data = evaluate(lambda: jnp.arange(3), {})
    assert data["value"].dims == ("value_0",)
    np.testing.assert_array_equal(data["value"], [0, 1, 2])
    assert evaluate(lambda: jnp.asarray(3.0), {})["value"].item() == 3


def test_evaluate_expands_counts_of_the_axes_that_it_is_given():
    np.testing.assert_array_equal(evaluate(lambda seed: seed, {"seed": 3})["value"], [0, 1, 2])
    np.testing.assert_array_equal(evaluate(lambda n: 2 * n, {"n": 3}, counts=["n"])["value"], [0, 2, 4])
    with pytest.raises(SpaceError, match="the axis 'n' needs a list"):
        evaluate(lambda n: n, {"n": 3})


def test_evaluate_takes_a_function_of_a_static_axis_alone():
    data = evaluate(lambda word: jnp.asarray(float(len(word))), {"word": ["a", "abc", "ab"]})
    np.testing.assert_array_equal(data["value"], [1, 3, 2])


def test_evaluate_fills_smaller_results():
    data = evaluate(lambda n, x: {"real": x * jnp.ones((n, 2)), "whole": jnp.arange(n)}, {"n": [1, 3], "x": [5.0, 6.0]})
    assert data["real"].dims == ("n", "x", "real_0", "real_1")
    fill = [np.nan, np.nan]
    np.testing.assert_array_equal(data["real"].sel(x=6), [[[6, 6], fill, fill], [[6, 6]] * 3])
    np.testing.assert_array_equal(data["whole"].sel(x=5), [[0, -1, -1], [0, 1, 2]])


def test_evaluate_fills_results_that_a_group_lacks():
    data = evaluate(lambda kind, x: {"both": x} | ({"own": x} if kind == "a" else {}), {"kind": ["a", "b"], "x": [2.0]})
    np.testing.assert_array_equal(data["both"], [[2], [2]])
    np.testing.assert_array_equal(data["own"], [[2], [np.nan]])


def test_evaluate_gives_fixed_values_to_every_point_without_recompiling(programs):
    weights = np.array([1.0, 10.0])
    data = evaluate(lambda x, w: x * w.sum(), {"x": [1.0, 2.0]}, fixed={"w": weights})
    np.testing.assert_array_equal(data["value"], [11, 22])
    before = len(programs)
    again = evaluate(lambda x, w: x * w.sum(), {"x": [1.0, 2.0]}, fixed={"w": 2 * weights})
    np.testing.assert_array_equal(again["value"], [22, 44])
    assert len(programs) == before > 0


def test_evaluate_accepts_a_fixed_value_as_a_shape():
    for n in (2, 4):
        assert evaluate(lambda x, n: x * jnp.ones(n), {"x": [1.0]}, fixed={"n": n})["value"].shape == (1, n)


def test_evaluate_passes_static_axes_as_python_numbers():
    def kind_of(n, x):
        assert isinstance(x, jax.core.Tracer)
        return jnp.asarray(type(n) is int)

    assert evaluate(kind_of, {"n": [1, 2], "x": [0.5]}, static=["n"])["value"].values.all()


def test_evaluate_returns_a_dataset_with_selectable_labels():
    data = evaluate(
        lambda x, y, mode: x + y if mode == "sum" else x * y, {"x": [1.0, 2.0], "y": [3.0], "mode": ["sum"]}
    )
    assert isinstance(data, xarray.Dataset)
    assert data["value"].sel(x=2, y=3, mode="sum") == 5
    assert data.attrs["run_seconds"] > 0


def test_evaluate_of_many_points():
    x, y = np.arange(-50.0, 50.0), np.arange(60.0)
    data = evaluate(lambda x, y: x * y, {"x": x, "y": y})
    np.testing.assert_array_equal(data["value"], x[:, None] * y)


@pytest.mark.parametrize("chunk", [1, 3, 7, 10])
def test_evaluate_gives_the_same_bits_for_any_chunk(chunk):
    def fn(x, seed, scale):
        noise = jax.random.randint(jax.random.key(seed), (5,), -9, 10).astype(float)
        return {"sum": scale * jnp.sum(x * noise), "each": x + noise, "whole": 3 * seed}

    over = {"x": np.linspace(-3, 3, 5), "seed": 3, "scale": [0.5, 7.0]}
    assert_same_bits(evaluate(fn, over, chunk=chunk), evaluate(fn, over))


def test_evaluate_makes_an_axis_static_if_it_slices():
    np.testing.assert_array_equal(evaluate(lambda n: jnp.arange(5.0)[:n].sum(), {"n": [1, 3]})["value"], [0, 3])


def test_evaluate_keeps_booleans_unsigned_and_narrow_numbers():
    def several(x, m):
        return {m: x > 1, "u": jnp.asarray(x).astype(jnp.uint8), "h": jnp.asarray(x).astype(jnp.bfloat16)}

    data = evaluate(several, {"x": [1.0, 2.0], "m": ["a", "b"]})
    np.testing.assert_array_equal(data["a"], [[0, -1], [1, -1]])
    np.testing.assert_array_equal(data["u"], [[1, 1], [2, 2]])
    assert data["u"].dtype == np.uint8
    assert data["h"].dtype == np.float32
    assert evaluate(lambda x: x > 1, {"x": [1.0, 2.0]})["value"].dtype == bool


@pytest.mark.parametrize(
    ("fn", "over", "fixed", "message"),
    [
        (lambda x: x, {"x": [1.0], "y": [2.0]}, {}, "the function takes no 'y'; it takes x"),
        (lambda x: x, {"x": [1.0]}, {"x": 1.0}, "'x' is both an axis and fixed"),
        (lambda x, k: x, {"x": [1.0]}, {"k": "a"}, r"fixed\['k'\] must be a number, not 'a'"),
        (lambda x: {"x": x}, {"x": [1.0]}, {}, "a result and an axis have the same name, 'x'"),
        (lambda x: x, {"x": [0.1, 0.2, 0.1]}, {}, r"the axis 'x' has 0\.1 twice, at positions 0 and 2: drop one"),
        (lambda x: x, {"x": np.float32([2, 1, 3, 1])}, {}, r"the axis 'x' has 1\.0 twice, at positions 1 and 3"),
        (lambda x: x, {"x": [1, 1.0]}, {}, r"the axis 'x' has 1\.0 twice, at positions 0 and 1"),
        (lambda x: 1, {"x": ["a", None, "a"]}, {}, "the axis 'x' has 'a' twice, at positions 0 and 2"),
        (
            lambda x, y: x * y,
            {("x", "y"): [(1, 2.0), (1, 3.0), (2, 2.0), (1, 3)]},
            {},
            r"the zipped axes x, y have \(1, 3\.0\) twice, at positions 1 and 3: drop one",
        ),
        (
            lambda x, y: x * y,
            {("y", "x"): {"x": [1, 2], "y": [3, 3]}},
            {},
            r"the zipped axes y, x have \(3, 1\) twice, at positions 0 and 1",
        ),
        (lambda x_0: {"x": jnp.ones(2) * x_0}, {"x_0": [1.0]}, {}, "a result and an axis have the same name, 'x_0'"),
    ],
)
def test_evaluate_refuses_arguments_that_do_not_fit(fn, over, fixed, message):
    with pytest.raises(SpaceError, match=message):
        evaluate(fn, over, fixed=fixed)


def test_evaluate_accepts_values_that_differ_in_type_or_sign_and_repeated_points_of_a_chain():
    kinds = evaluate(lambda x: jnp.float32(isinstance(x, bool)), {"x": [True, 1, "1", None]})
    np.testing.assert_array_equal(kinds["value"], [1, 0, 0, 0])
    signs = evaluate(lambda x: 1 / x, {"x": [0.0, -0.0]})
    np.testing.assert_array_equal(signs["value"], [np.inf, -np.inf])
    rows = evaluate(lambda x, y: x * y, {("x", "y"): [(1, 2), (1, 3), (2, 2)]})
    np.testing.assert_array_equal(rows["value"], [2, 3, 4])
    chained = evaluate(lambda x: x, chain({"x": [1.0, 2.0, 1.0]}, {"x": [2.0]}))
    np.testing.assert_array_equal(chained["value"], [1, 2])
