"""`plan` splits a space into groups."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gdlab import chain, rules
from gdlab.engine.axis_values import ABSENT, SpaceError
from gdlab.engine.evaluate import function
from gdlab.engine.plan import describe, distinct, outer_index, plan, traced_dtype
from gdlab.engine.space import space
from tests.engine.engine_cases import bowl, builder, planned, trained


def statics(groups):
    return [dict(group.static) for group in groups]


def columns(group):
    return {name: column.tolist() for name, column in group.columns.items()}


def runs(group):
    """The runs of a group as points."""
    return [dict(zip(group.columns, values, strict=True)) for values in zip(*columns(group).values(), strict=True)] or [
        {}
    ]


def product(**axes):
    """The points of a grid; the last axis varies fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def of_rule(**names):
    """A build whose processes read the axes that are listed for their rule."""

    def build(values):
        own = names[values["rule"]]
        known = {n: v for n, v in values.items() if n in own}
        return function(lambda **point: sum(jnp.float32(point[n]) for n in own if n not in known), ("rule", *own), {})

    return build


def by_seed(fn, points):
    """The plan of a function whose runs share work if they have the same seed."""
    build = builder(fn, points.names)
    return plan(points, lambda values: build(values)._replace(outer=("seed",)))


def test_plan_traces_numbers_in_one_group():
    (group,) = planned(lambda x, n, y: x + y + jnp.float32(n), {"x": [0.1, 0.2], "n": [3, 4, 5], ("y",): [(1.0,)]})
    assert group.static == {}
    assert group.size == 6
    assert runs(group) == product(x=[0.1, 0.2], n=[3, 4, 5], y=[1.0])
    assert describe(group) == "all runs"


@pytest.mark.parametrize("values", [["a", "b"], [True, False, None], [0.5, "half"], [True, 1, 1.5], [(1, 2), [3]]])
def test_plan_makes_a_group_for_each_value_that_is_not_a_number(values):
    groups = planned(lambda x, kind: x, {"x": [1.0, 2.0], "kind": values})
    assert [group.static["kind"] for group in groups] == values
    assert all(columns(group) == {"x": [1.0, 2.0]} for group in groups)


def test_plan_orders_groups_of_several_static_axes_like_the_space():
    groups = planned(lambda rule, x, flag: x, {"rule": ["a", "b"], "x": [1.0], "flag": [False, True]})
    assert statics(groups) == [{"rule": rule, "flag": flag} for rule in "ab" for flag in (False, True)]


def test_describe_omits_the_names_of_label_axes():
    (group,) = planned(lambda rule, x, flag: x, {"rule": ["a"], "x": [1.0], "flag": [True]})
    assert describe(group) == "rule=a, flag=True"
    assert describe(group._replace(process=group.process._replace(labels=("rule",)))) == "a, flag=True"
    assert describe(group._replace(process=group.process._replace(labels=("flag",)))) == "rule=a, True"


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
def test_plan_finds_axes_that_cannot_be_traced(use):
    groups = planned(lambda n, x: x * use(n).sum().astype(jnp.float32), {"n": [3, 2, 3], "x": [1.0, 2.0]})
    assert statics(groups) == [{"n": 3}, {"n": 2}]
    assert all(columns(group) == {"x": [1.0, 2.0]} for group in groups)


def test_plan_makes_an_axis_static_only_in_groups_that_need_it():
    def use(rule, n):
        return jnp.ones(int(n)).sum() if rule == "shape" else jnp.float32(n)

    groups = planned(use, {"rule": ["shape", "number"], "n": [2, 3]})
    assert len(groups) == 3
    for static in ({"rule": "shape", "n": 2}, {"rule": "shape", "n": 3}, {"rule": "number"}):
        group = groups[statics(groups).index(static)]
        assert columns(group) == ({} if "n" in static else {"n": [2, 3]})
        assert group.size == (1 if "n" in static else 2)


def test_plan_finds_both_axes_of_a_shape():
    groups = planned(lambda m, n: jnp.zeros((int(m), int(n))).sum(), {"m": [1, 2], "n": [3, 4]})
    assert statics(groups) == [{"m": m, "n": n} for m in (1, 2) for n in (3, 4)]


def test_plan_does_not_trace_axes_named_static():
    groups = planned(lambda n, x: x * jnp.float32(n), {"n": [2, 3], "x": [1.0]}, static=["n"])
    assert statics(groups) == [{"n": 2}, {"n": 3}]


def test_plan_makes_an_untraceable_fixed_value_a_constant():
    (group,) = planned(lambda x, n, y: x * y * jnp.ones(n), {"x": [1.0, 2.0]}, fixed={"n": 3, "y": 0.5})
    assert group.process.fixed == {"y": 0.5}
    assert group.process.finish({"x": 2.0, "y": 0.5}, ())["value"].tolist() == [1, 1, 1]


def test_plan_raises_the_error_of_the_function():
    def wrong(x):
        raise TypeError("my own mistake")

    with pytest.raises(TypeError, match="my own mistake"):
        planned(wrong, {"x": [1.0, 2.0]})


def test_plan_refuses_an_axis_that_no_group_reads():
    over = {"rule": ["one", "two"], "lr": [0.1], "bta": [0.9]}
    with pytest.raises(SpaceError, match=r"unknown axis 'bta': .*the axes in use are lr, rule"):
        plan(space(over), of_rule(one=("lr",), two=("lr",)))


def test_plan_runs_a_group_once_over_an_axis_it_does_not_read():
    over = {"rule": ["one", "two"], "lr": [0.1, 0.2], "beta": [0.5, 0.7, 0.9], "seed": range(4)}
    one, two = plan(space(over), of_rule(one=("lr",), two=("lr", "beta", "seed")))
    assert (one.size, two.size) == (2, 24)
    assert runs(one) == product(lr=[0.1, 0.2])
    assert runs(two) == product(lr=[0.1, 0.2], beta=[0.5, 0.7, 0.9], seed=[0, 1, 2, 3])


def test_plan_splits_a_group_only_by_static_axes_it_reads():
    over = {"flag": [False, True], "rule": ["one", "two"], "lr": [0.1, 0.2]}
    groups = plan(space(over), of_rule(one=("lr",), two=("lr", "flag")))
    assert statics(groups) == [{"rule": "one"}, {"flag": False, "rule": "two"}, {"flag": True, "rule": "two"}]
    assert [group.size for group in groups] == [2, 2, 2]


def test_plan_runs_repeated_values_once():
    over = {"x": [2.0, 1.0, 2.0, 2], "kind": ["a", "b", "a"]}
    groups = planned(lambda x, kind: x, over)
    assert statics(groups) == [{"kind": "a"}, {"kind": "b"}]
    assert all(columns(group) == {"x": [2.0, 1.0]} for group in groups)


def test_plan_runs_each_distinct_row_of_zipped_axes():
    rows = [(0.1, 1), (0.2, 2), (0.1, 3), (0.1, 1)]
    (group,) = planned(lambda x, n, y: x * jnp.float32(n) * y, {("x", "n"): rows, "y": [1.0, 2.0]})
    assert runs(group) == [{"x": x, "n": n, "y": y} for x, n in rows[:3] for y in (1.0, 2.0)]


def test_plan_keeps_the_zipped_axes_that_a_group_reads():
    over = {"rule": ["one", "two"], ("lr", "beta"): [(0.1, 0.5), (0.2, 0.5), (0.1, 0.9)]}
    one, two = plan(space(over), of_rule(one=("lr",), two=("lr", "beta")))
    assert columns(one) == {"lr": [0.1, 0.2]}
    assert columns(two) == {"lr": [0.1, 0.2, 0.1], "beta": [0.5, 0.5, 0.9]}


def test_plan_splits_zipped_axes_by_a_static_axis_among_them():
    rows = [(2, 1.0), (3, 5.0), (2, 7.0)]
    groups = planned(lambda n, x: x * jnp.ones(int(n)), {("n", "x"): rows})
    assert statics(groups) == [{"n": 2}, {"n": 3}]
    assert [columns(group) for group in groups] == [{"x": [1.0, 7.0]}, {"x": [5.0]}]


def test_plan_makes_runs_with_equal_outer_values_neighbours():
    points = space({"a": [1.0, 2.0], "seed": range(3), ("b", "c"): [(5.0, 6.0), (7.0, 8.0)]})
    (group,) = by_seed(lambda a, seed, b, c: a + b + c + jnp.float32(seed), points)
    assert group.outer == ("seed",)
    wanted = [(s, a, b, b + 1) for s in range(3) for a in (1.0, 2.0) for b in (5.0, 7.0)]
    assert [tuple(run[n] for n in ("seed", "a", "b", "c")) for run in runs(group)] == wanted
    assert outer_index(group.columns, group.outer, group.size).tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_plan_makes_runs_of_a_zipped_outer_axis_neighbours():
    points = space({("seed", "x"): [(1, 1.0), (0, 2.0), (1, 3.0), (0, 4.0)], "y": [5.0, 6.0]})
    (group,) = by_seed(lambda seed, x, y: x + y, points)
    assert runs(group) == [
        {"seed": seed, "x": x, "y": y} for seed, x in ((1, 1.0), (1, 3.0), (0, 2.0), (0, 4.0)) for y in (5.0, 6.0)
    ]
    (cover,) = group.covers
    assert cover.run_numbers().tolist() == [[0, 1], [4, 5], [2, 3], [6, 7]]


def test_plan_splits_groups_where_an_axis_they_read_is_absent():
    over = chain({"lr": [0.1, 0.2]}, {"lr": [0.1], "beta": [0.5, 0.7]}, {"beta": [0.5]})
    _, groups = trained(bowl(), rules.momentum, over, steps=1)
    assert statics(groups) == [{"beta": ABSENT}, {}, {"lr": ABSENT}]
    assert [runs(group) for group in groups] == [
        product(lr=[0.1, 0.2]),
        product(lr=[0.1], beta=[0.5, 0.7]),
        product(beta=[0.5]),
    ]


def test_plan_makes_no_run_for_an_unread_axis_of_a_part_of_a_chain():
    over = chain({"lr": [0.1, 0.2], "seed": 2}, {"lr": [0.2, 0.3], "beta": [0.5, 0.7], "seed": 2})
    _, (gd, *heavy) = trained(bowl(), {"gd": rules.gd, "heavy": rules.momentum}, over, steps=1)
    assert gd.static == {"rule": "gd"}
    assert runs(gd) == [{"lr": lr, "seed": seed} for seed in (0, 1) for lr in (0.1, 0.2, 0.3)]
    assert len(gd.covers) == 2
    assert statics(heavy) == [{"rule": "heavy", "beta": ABSENT}, {"rule": "heavy"}]
    assert [group.size for group in heavy] == [4, 8]


def test_plan_runs_a_point_of_two_parts_of_a_chain_once():
    over = chain({"a": [1.0, 2.0], "b": [1.0, 2.0]}, {"a": [2.0, 3.0], "b": [2.0, 3.0]})
    (group,) = planned(lambda a, b: a * b, over)
    assert runs(group) == product(a=[1.0, 2.0], b=[1.0, 2.0]) + product(a=[2.0, 3.0], b=[2.0, 3.0])[1:]


AXES = {
    "x": st.sampled_from([0.5, 1.0, 2.0]),
    "n": st.integers(0, 2),
    "seed": st.integers(0, 2),
    "kind": st.sampled_from(["a", "b", None]),
    "shape": st.integers(1, 2),
}


@st.composite
def parts(draw):
    """A mapping of axes, two of which may be zipped."""
    left, over = draw(st.lists(st.sampled_from(sorted(AXES)), unique=True, max_size=4)), {}
    if len(left) > 1 and draw(st.booleans()):
        pair, left = tuple(left[:2]), left[2:]
        over[pair] = draw(st.lists(st.tuples(*(AXES[name] for name in pair)), min_size=1, max_size=3))
    return over | {name: draw(st.lists(AXES[name], min_size=1, max_size=3)) for name in left}


def of_all(points):
    """A build that reads x, n unless kind is "a", and shape as the shape of an array."""

    def build(values):
        given = {name: value for name, value in values.items() if value is not ABSENT}
        names = [name for name in points.names if name not in values or name in given]
        if given.get("kind") == "a":
            names = [name for name in names if name != "n"]
        read = {"x", "n"} & set(names)

        def fn(**point):
            here = given | point
            return sum((jnp.float32(here[name]) for name in sorted(read)), jnp.ones(here.get("shape", 1)).sum())

        return function(fn, tuple(names), {})._replace(outer=("seed",))

    return build


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(parts(), min_size=1, max_size=3))
def test_plan_assigns_each_point_one_run_with_its_values(each):
    points = space(chain(*each) if len(each) > 1 else each[0])
    groups, refused = (), ""
    try:
        groups = plan(points, of_all(points))
    except SpaceError as error:
        refused = str(error)
    assume("unknown axis 'n'" not in refused)  # every kind is "a"
    assert not refused
    owner = np.full((*points.shape, 2), -1)
    for number, group in enumerate(groups):
        assert len({tuple(run.items()) for run in runs(group)}) == group.size
        shared = [run.get("seed") for run in runs(group)]
        assert len(list(itertools.groupby(shared))) == len(set(shared))
        for cover in group.covers:
            for place in itertools.product(*(range(len(rows)) for rows in cover.rows)):
                point = tuple(rows[i] for rows, i in zip(cover.rows, place, strict=True))
                assert owner[point][0] == -1
                run = cover.runs[sum(offsets[i] for offsets, i in zip(cover.offsets, place, strict=True))]
                assert cover.run_numbers()[place] == run
                owner[point] = number, run
    assert (owner >= 0).all()
    for place in itertools.product(*(range(size) for size in points.shape)):
        number, run = owner[place]
        wanted = {n: v for block, i in zip(points.blocks, place, strict=True) for n, v in block.row(i).items()}
        group = groups[number]
        held = {**group.static, **runs(group)[run]}
        assert {name: wanted.get(name, ABSENT) for name in held} == held
        unread = set(wanted) - set(held)
        assert unread <= ({"n"} if wanted.get("kind") == "a" else set())


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 2), st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=12))
def test_distinct_finds_the_first_of_equal_rows(rows):
    whole, real = (np.array(column) for column in zip(*rows, strict=True))
    first, inverse = distinct((whole, real), len(rows))
    assert first.tolist() == [rows.index(row) for row in dict.fromkeys(rows)]
    assert [rows[first[i]] for i in inverse] == rows


def test_distinct_of_no_columns_is_one_row():
    first, inverse = distinct((), 3)
    assert (first.tolist(), inverse.tolist()) == ([0], [0, 0, 0])


@pytest.mark.parametrize("double", [False, True])
def test_traced_dtype_is_the_precision_of_jax(double):
    with jax.enable_x64(double):
        bits = "64" if double else "32"
        for dtype in (np.float16, np.float32, np.float64):
            assert traced_dtype(np.ones(2, dtype)).dtype == f"float{bits}"
        for dtype in (np.uint8, np.int64):
            assert traced_dtype(np.ones(2, dtype)).dtype == f"int{bits}"
