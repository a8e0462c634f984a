"""From a space to groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine_cases import builder, planned

from gdlab.engine.evaluate import function
from gdlab.engine.plan import describe, lane_dtype, plan
from gdlab.engine.space import SpaceError, space


def statics(groups):
    return [dict(group.static) for group in groups]


def columns(group):
    return {n: c.tolist() for lanes in group.lanes for n, c in zip(lanes.names, lanes.columns, strict=True)}


def of_rule(**names):
    """A build of processes that are each read for some of the axes: those of their rule."""

    def build(values):
        own = names[values["rule"]]
        known = {n: v for n, v in values.items() if n in own}
        return function(lambda **point: sum(jnp.float32(point[n]) for n in own if n not in known), ("rule", *own), {})

    return build


def test_numbers_are_traced_and_share_a_group():
    (group,) = planned(lambda x, n, y: x + y + jnp.float32(n), {"x": [0.1, 0.2], "n": [3, 4, 5], ("y",): [(1.0,)]})
    assert group.static == {}
    assert group.shape == (1, 6)
    assert columns(group) == {"x": [0.1, 0.2], "n": [3, 4, 5], "y": [1.0]}
    assert describe(group) == "all runs"


@pytest.mark.parametrize("values", [["a", "b"], [True, False, None], [0.5, "half"], [True, 1, 1.5], [(1, 2), [3]]])
def test_what_is_no_number_gets_a_group_for_each_value(values):
    groups = planned(lambda x, kind: x, {"x": [1.0, 2.0], "kind": values})
    assert [group.static["kind"] for group in groups] == values
    assert all(columns(group) == {"x": [1.0, 2.0]} for group in groups)


def test_static_axes_multiply_in_the_order_of_the_space():
    groups = planned(lambda rule, x, flag: x, {"rule": ["a", "b"], "x": [1.0], "flag": [False, True]})
    assert statics(groups) == [{"rule": rule, "flag": flag} for rule in "ab" for flag in (False, True)]
    assert describe(groups[1]) == "a, flag=True"


@pytest.mark.parametrize(
    "use",
    [
        lambda n: jnp.zeros(int(n)),
        jnp.zeros,
        jnp.arange,
        lambda n: sum(jnp.ones(()) for _ in range(n)),
        lambda n: jnp.ones(()) if n > 2 else jnp.zeros(()),
        lambda n: jnp.asarray([1.0, 2.0, 3.0, 4.0, 5.0][n]),
        lambda n: jnp.asarray(np.sqrt(n)),
        lambda n: jnp.asarray({2: 1.0, 3: 2.0}[n]),
    ],
)
def test_an_axis_that_cannot_be_traced_is_found_out(use):
    groups = planned(lambda n, x: x * use(n).sum().astype(jnp.float32), {"n": [3, 2, 3], "x": [1.0, 2.0]})
    assert statics(groups) == [{"n": 3}, {"n": 2}]
    assert all(columns(group) == {"x": [1.0, 2.0]} for group in groups)


def test_an_axis_is_static_only_where_it_has_to_be():
    def use(rule, n):
        return jnp.ones(int(n)).sum() if rule == "shape" else jnp.float32(n)

    groups = planned(use, {"rule": ["shape", "number"], "n": [2, 3]})
    assert len(groups) == 3
    for static in ({"rule": "shape", "n": 2}, {"rule": "shape", "n": 3}, {"rule": "number"}):
        group = groups[statics(groups).index(static)]
        assert columns(group) == ({} if "n" in static else {"n": [2, 3]})


def test_two_axes_of_one_shape_are_both_found_out():
    groups = planned(lambda m, n: jnp.zeros((int(m), int(n))).sum(), {"m": [1, 2], "n": [3, 4]})
    assert statics(groups) == [{"m": m, "n": n} for m in (1, 2) for n in (3, 4)]


def test_axes_named_static_are_not_traced():
    groups = planned(lambda n, x: x * jnp.float32(n), {"n": [2, 3], "x": [1.0]}, static=["n"])
    assert statics(groups) == [{"n": 2}, {"n": 3}]


def test_a_fixed_value_that_cannot_be_traced_becomes_a_constant():
    (group,) = planned(lambda x, n, y: x * y * jnp.ones(n), {"x": [1.0, 2.0]}, fixed={"n": 3, "y": 0.5})
    assert group.process.fixed == {"y": 0.5}
    assert group.process.finish({"x": 2.0, "y": 0.5}, ())["value"].tolist() == [1, 1, 1]


def test_a_functions_own_mistake_is_not_laid_to_an_axis():
    def wrong(x):
        raise TypeError("my own mistake")

    with pytest.raises(TypeError, match="my own mistake"):
        planned(wrong, {"x": [1.0, 2.0]})


def test_an_axis_that_nothing_reads_is_refused_by_name():
    over = {"rule": ["one", "two"], "lr": [0.1], "bta": [0.9]}
    with pytest.raises(SpaceError, match=r"the axis 'bta' makes no difference.*Known: lr, rule"):
        plan(space(over), of_rule(one=("lr",), two=("lr",)))


def test_axes_that_a_group_does_not_name_are_not_multiplied_out():
    over = {"rule": ["one", "two"], "lr": [0.1, 0.2], "beta": [0.5, 0.7, 0.9], "seed": 4}
    one, two = plan(space(over), of_rule(one=("lr",), two=("lr", "beta", "seed")))
    assert (one.size, two.size) == (2, 24)
    assert columns(one) == {"lr": [0.1, 0.2]}
    assert columns(two) == {"lr": [0.1, 0.2], "beta": [0.5, 0.7, 0.9], "seed": [0, 1, 2, 3]}


def test_a_static_axis_that_a_group_does_not_name_does_not_split_it():
    over = {"flag": [False, True], "rule": ["one", "two"], "lr": [0.1, 0.2]}
    groups = plan(space(over), of_rule(one=("lr",), two=("lr", "flag")))
    assert statics(groups) == [{"rule": "one"}, {"flag": False, "rule": "two"}, {"flag": True, "rule": "two"}]


def test_values_given_twice_are_run_once():
    over = {"x": [2.0, 1.0, 2.0, 2], "kind": ["a", "b", "a"]}
    groups = planned(lambda x, kind: x, over)
    assert statics(groups) == [{"kind": "a"}, {"kind": "b"}]
    assert all(columns(group) == {"x": [2.0, 1.0]} for group in groups)


def test_zipped_axes_are_one_block_of_lanes():
    rows = [(0.1, 1), (0.2, 2), (0.1, 3), (0.1, 1)]
    (group,) = planned(lambda x, n, y: x * jnp.float32(n) * y, {("x", "n"): rows, "y": [1.0, 2.0]})
    assert group.size == 6
    assert columns(group) == {"x": [0.1, 0.2, 0.1], "n": [1, 2, 3], "y": [1.0, 2.0]}


def test_of_zipped_axes_a_group_keeps_those_it_names():
    over = {"rule": ["one", "two"], ("lr", "beta"): [(0.1, 0.5), (0.2, 0.5), (0.1, 0.9)]}
    one, two = plan(space(over), of_rule(one=("lr",), two=("lr", "beta")))
    assert columns(one) == {"lr": [0.1, 0.2]}
    assert columns(two) == {"lr": [0.1, 0.2, 0.1], "beta": [0.5, 0.5, 0.9]}


def test_zipped_axes_part_where_one_of_them_is_static():
    rows = [(2, 1.0), (3, 5.0), (2, 7.0)]
    groups = planned(lambda n, x: x * jnp.ones(int(n)), {("n", "x"): rows})
    assert statics(groups) == [{"n": 2}, {"n": 3}]
    assert [columns(group) for group in groups] == [{"x": [1.0, 7.0]}, {"x": [5.0]}]


def test_shared_work_is_outer_and_the_last_block_varies_fastest():
    points = space({"a": [1.0, 2.0], "seed": 3, ("b", "c"): [(5.0, 6.0), (7.0, 8.0)]})

    def build(values):
        return builder(lambda a, seed, b, c: a + b + c + jnp.float32(seed), points.names)(values)._replace(
            outer=("seed",)
        )

    (group,) = plan(points, build)
    assert group.shape == (3, 4)
    assert (group.outer, group.inner) == ((1,), (0, 2))
    values = group.values(group.inner, np.arange(4))
    assert {n: v.tolist() for n, v in values.items()} == {"a": [1, 1, 2, 2], "b": [5, 7, 5, 7], "c": [6, 8, 6, 8]}
    assert group.values((), np.arange(1)) == {}


def test_a_seed_zipped_with_another_axis_is_not_outer():
    points = space({("seed", "x"): [(0, 1.0), (1, 2.0)]})

    def build(values):
        return builder(lambda seed, x: x, points.names)(values)._replace(outer=("seed",))

    (group,) = plan(points, build)
    assert group.shape == (1, 2)


@pytest.mark.parametrize("double", [False, True])
def test_lanes_have_the_width_that_jax_computes_in(double):
    with jax.enable_x64(double):
        bits = "64" if double else "32"
        for dtype in (np.float16, np.float32, np.float64):
            assert lane_dtype(np.ones(2, dtype)).dtype == f"float{bits}"
        for dtype in (np.uint8, np.int64):
            assert lane_dtype(np.ones(2, dtype)).dtype == f"int{bits}"
