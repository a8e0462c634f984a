"""Costs of a run, compared with closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gdlab import Problem, rules
from gdlab.engine.cost import Cost, cost, operations
from gdlab.engine.plan import plan
from gdlab.engine.space import space
from gdlab.types import Process
from tests.engine.engine_cases import bowl, trained

SEEN = ("NCHW", "OIHW", "NCHW")


def counted(fn, *shapes):
    return operations(jax.make_jaxpr(fn)(*(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes)).jaxpr)


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (3, 5, 7), (2, 64, 1)])
def test_operations_of_a_matrix_product(m, k, n):
    assert counted(jnp.matmul, (m, k), (k, n)) == 2 * m * k * n
    assert counted(lambda a, b: jnp.einsum("bij,bjk->bik", a, b), (6, m, k), (6, k, n)) == 6 * 2 * m * k * n


def test_operations_of_an_inner_product_over_several_axes():
    assert counted(lambda a, b: jnp.tensordot(a, b, 2), (3, 4, 5), (4, 5, 6)) == 2 * 3 * 4 * 5 * 6


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 3)])
def test_operations_of_a_convolution(stride, groups):
    def convolved(image, kernel):
        return lax.conv_general_dilated(
            image, kernel, (stride, stride), "VALID", dimension_numbers=SEEN, feature_group_count=groups
        )

    batch, inputs, outputs, height, width = 4, 6, 9, 10, 12
    found = counted(convolved, (batch, inputs, height, width), (outputs, inputs // groups, 3, 5))
    places = -(-(height - 3 + 1) // stride) * -(-(width - 5 + 1) // stride)
    assert found == 2 * batch * outputs * places * (inputs // groups) * 3 * 5


def test_operations_of_a_convolution_ignore_the_order_of_axes():
    def convolved(image, kernel):
        return lax.conv_general_dilated(image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    assert counted(convolved, (2, 8, 8, 3), (3, 3, 3, 7)) == 2 * (2 * 8 * 8 * 7) * (3 * 3 * 3)


def test_operations_of_elementwise_work_and_sums():
    assert counted(jnp.sin, (5, 7)) == 35
    assert counted(lambda x: jnp.sin(x) + jnp.cos(x), (5, 7)) == 3 * 35
    assert counted(lambda x: lax.reduce_sum_p.bind(x, axes=(0, 1), out_sharding=None), (5, 7)) == 35


def test_operations_of_a_loop_scale_with_its_length():
    def loop(x, w):
        return lax.scan(lambda c, _: (jnp.matmul(c, w), None), x, None, length=13)[0]

    assert counted(loop, (3, 4), (4, 4)) == 13 * 2 * 3 * 4 * 4
    assert counted(lambda x, w: lax.scan(lambda c, _: (loop(c, w), None), x, None, length=5)[0], (3, 4), (4, 4)) == (
        5 * 13 * 2 * 3 * 4 * 4
    )


def test_operations_of_a_loop_of_unknown_length_count_once():
    def loop(x, w):
        return lax.while_loop(lambda c: c[0, 0] < 1.0, lambda c: jnp.matmul(c, w), x)

    body = 2 * 3 * 4 * 4
    assert body <= counted(loop, (3, 4), (4, 4)) <= body + 3 * 4 * 3  # and the comparison


def test_operations_of_branches_are_those_of_the_most_expensive():
    def either(x, w):
        return lax.cond(x[0, 0] > 0, lambda: jnp.matmul(x, w), lambda: x)

    product = 2 * 3 * 4 * 4
    assert product <= counted(either, (3, 4), (4, 4)) <= product + 50
    none = counted(lambda x, w: lax.cond(x[0, 0] > 0, lambda: jnp.sin(x), lambda: x), (3, 4), (4, 4))
    assert none < product


def with_a_derivative_of_its_own(fn):
    wrapped = jax.custom_jvp(fn)
    wrapped.defjvps(lambda tangent, answer, x: tangent)
    return wrapped


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint, with_a_derivative_of_its_own, jax.vmap])
def test_operations_include_nested_functions(wrap):
    w = np.ones((4, 4), np.float32)
    assert counted(wrap(lambda x: jnp.matmul(x, w)), (3, 4)) == 2 * 3 * 4 * 4


CARRY, RECORD, RESULT = 10 * 4 + 4 + 1, 2 * 3 * 4 + 4, 5 * 4 + 2 * 4


def stepping(steps=40, every=2):
    """A process with a matrix product per record and a state of known size."""

    def start(point):
        return {"x": jnp.ones(10) * point["lr"], "count": jnp.asarray(0, jnp.int32), "alive": jnp.asarray(True)}

    def step(point, carry, shared, index):
        product = lax.dot(jnp.outer(carry["x"], carry["x"]), jnp.ones((10, 20)))
        record = {"pair": jnp.ones((2, 3)), "whole": carry["count"]}
        return {**carry, "x": carry["x"] + 0.0 * product[:, 0]}, shared, record

    def check(point, before, after, index):
        return after, jnp.asarray(False)

    def finish(point, carry):
        return {"end": carry["x"][:5], "number": jnp.zeros(2, jnp.int32)}

    status = lambda carry: {"alive": carry["alive"]}
    return Process(start, lambda point, index: (), step, check, status, finish, steps, every, ("lr",))


def test_cost_counts_the_bytes_of_carry_record_and_result():
    (group,) = plan(space({"lr": [0.1, 0.2]}), lambda values: stepping())
    assert (group.cost.carry, group.cost.record, group.cost.result) == (CARRY, RECORD, RESULT)


def test_cost_separates_operations_of_a_block_from_the_rest():
    (group,) = plan(space({"lr": [0.1, 0.2]}), lambda values: stepping())
    product = 2 * 10 * 10 * 20
    assert 2 * product < group.cost.block < 3 * product  # a record takes two steps
    assert 10 <= group.cost.once < 100
    assert group.cost.steps(20) == group.cost.once + 20 * group.cost.block


def test_cost_live_lies_between_the_largest_value_and_all_values():
    (group,) = plan(space({"lr": [0.1, 0.2]}), lambda values: stepping())
    largest, everything = 10 * 20 * 4, (10 * 10 + 10 * 20 + 10 * 20 + 5 * 10 + 20) * 4
    assert largest <= group.cost.live <= CARRY + RECORD + everything


def test_cost_of_a_plain_function_has_no_block():
    build = lambda values: stepping()._replace(
        start=lambda point: (), steps=0, finish=lambda point, carry: {"y": jnp.outer(jnp.ones(3), jnp.ones(5))}
    )
    (group,) = plan(space({"lr": [0.1, 0.2]}), build)
    assert (group.cost.block, group.cost.carry, group.cost.record, group.cost.result) == (0, 0, 0, 3 * 5 * 4)
    assert group.cost.once >= 15


def test_cost_of_a_block_scales_with_every():
    def block(every):
        _, (group,) = trained(bowl(), rules.gd, {"lr": [0.1, 0.2]}, steps=48, every=every)
        assert group.cost.record == 4
        return group.cost.block

    assert block(12) - block(8) == block(8) - block(4) > 0


def test_cost_counts_the_bytes_of_keys():
    build = lambda values: stepping()._replace(
        start=lambda point: jax.random.key(0),
        status=lambda carry: {"alive": jnp.asarray(True)},
        step=lambda point, carry, shared, index: (carry, shared, {"x": jnp.zeros(())}),
        finish=lambda point, carry: {"y": jnp.zeros(())},
    )
    (group,) = plan(space({"lr": [0.1, 0.2]}), build)
    assert jax.random.key_data(jax.random.key(0)).nbytes <= group.cost.carry <= 16


def test_cost_program_is_the_same_for_other_numbers():
    def digest(rule, rates, **settings):
        _, (group,) = trained(bowl(), rule, {"lr": rates}, steps=8, **settings)
        return group.cost.program

    one = digest(rules.gd, [0.1, 0.2])
    assert digest(rules.gd, [0.3, 0.4, 0.5]) == one
    assert len({one, digest(rules.momentum, [0.1]), digest(rules.gd, [0.1], every=2)}) == 3


def test_cost_program_differs_for_other_data():
    def digest(data):
        def loss(w, batch):
            return jnp.mean((w - batch) ** 2)

        problem = Problem(init=lambda key: jnp.zeros(()), loss=loss, data=jnp.asarray(data))
        _, (group,) = trained(problem, rules.gd, {"lr": [0.1]}, steps=8)
        return group.cost.program

    assert digest([1.0, 2.0]) == digest([1.0, 2.0]) != digest([1.0, 3.0])


def in_a_jit(w, data):
    return jax.jit(lambda v: jnp.mean((v - data) ** 2))(w)


def in_a_loop(w, data):
    return jax.lax.scan(lambda total, _: (total + jnp.mean((w - data) ** 2), None), 0.0, length=3)[0]


def in_a_branch(w, data):
    return jax.lax.cond(w > 0, lambda v: v, lambda v: jnp.mean((v - data) ** 2), w)


def in_a_custom_rule(w, data):
    @jax.custom_vjp
    def loss(v):
        return v**2

    loss.defvjp(lambda v: (v**2, v), lambda v, cotangent: (cotangent * jnp.mean(v - data),))
    return loss(w)


def as_it_is(w, data):
    return jnp.mean((w - data) ** 2)


@pytest.mark.parametrize("loss", [in_a_jit, in_a_loop, in_a_branch, in_a_custom_rule, as_it_is])
@pytest.mark.parametrize("held", [np.asarray, jnp.asarray])
def test_cost_digests_include_every_array(loss, held):
    """One number of a large array differs, which its repr does not show."""

    def digests(data):
        array = held(data, np.float32)
        problem = Problem(init=lambda key: jnp.zeros(()), loss=lambda w, batch: loss(w, array))
        _, (group,) = trained(problem, rules.gd, {"lr": [0.1]}, steps=8)
        return group.cost.program, group.cost.data

    data = np.linspace(0, 1, 5000)
    changed = np.where(np.arange(5000) == 2500, 7.0, data)
    assert digests(data) == digests(data.copy())
    for one, other in zip(digests(data), digests(changed), strict=True):
        assert one != other


def test_cost_digests_do_not_depend_on_addresses():
    """The structure of a carry may contain an address."""

    @jax.tree_util.register_pytree_node_class
    class Named:
        def __init__(self, value, name):
            self.value, self.name = value, name

        def tree_flatten(self):
            return (self.value,), self.name

        @classmethod
        def tree_unflatten(cls, name, leaves):
            return cls(*leaves, name)

    trees = [jax.tree.structure(Named(1.0, object())) for _ in range(2)]
    assert str(trees[0]) != str(trees[1])
    one, other = (cost(jax.make_jaxpr(jnp.sin)(1.0), [tree]).program for tree in trees)
    assert one == other


def test_cost_defaults_to_zero():
    assert Cost().steps(100) == 0
