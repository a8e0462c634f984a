"""Which convolutions the engine replaces by matrix products, and sweeps of convolutional networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax import lax

import gdlab
from gdlab import Problem, rules
from gdlab.engine import convolutions as module
from gdlab.engine.chunk_programs import chunk_programs
from gdlab.engine.cpu_forms import on_platform
from gdlab.engine.execute import run_mesh
from gdlab.engine.layout import Layout
from tests.engine.conv_cases import convolution_equations, equations
from tests.engine.engine_cases import trained

on_cpu = functools.partial(on_platform, "cpu")
KERNEL = np.random.default_rng(0).normal(size=(3, 3, 2, 2)).astype(np.float32) / 3
IMAGES = np.random.default_rng(1).normal(size=(4, 5, 5, 2)).astype(np.float32)


def convolved(x, kernel=KERNEL, stride=1):
    return lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@jax.custom_jvp
def with_jvp(x):
    return convolved(x)


with_jvp.defjvp(lambda primals, tangents: (convolved(*primals), convolved(*tangents)))


@jax.custom_vjp
def with_vjp(x):
    return convolved(x)


with_vjp.defvjp(lambda x: (convolved(x), x), lambda x, g: (convolved(g) + x,))

NESTED = {
    "jit": jax.jit(convolved),
    "scan": lambda x: lax.scan(lambda x, k: (convolved(x, k), x), x, jnp.stack([KERNEL, -KERNEL])),
    "while": lambda x: lax.while_loop(lambda x: convolved(x).max() < 9, convolved, x),
    "fori": lambda x: lax.fori_loop(0, 3, lambda i, x: convolved(x), x),
    "cond": lambda x: lax.cond(x.sum() > 0, convolved, lambda x: convolved(x, -KERNEL), x),
    "custom_jvp": with_jvp,
    "custom_vjp": with_vjp,
    "checkpoint": jax.grad(lambda x: jax.checkpoint(lambda x: jnp.sin(convolved(jnp.sin(x))))(x).sum()),
    "gradient of a scan": jax.grad(
        lambda x: lax.scan(lambda x, _: (jnp.sin(convolved(x)), None), x, length=2)[0].sum()
    ),
    "vmap": jax.vmap(lambda x: convolved(x[None])),
    "custom_linear_solve": lambda x: lax.custom_linear_solve(
        lambda x: x + 0.01 * convolved(x), x, lambda matvec, b: 2 * b - matvec(b), symmetric=True
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_a_convolution_is_replaced_in_every_kind_of_nesting(name):
    fn = NESTED[name]
    assert convolution_equations(jax.make_jaxpr(fn)(IMAGES))
    assert convolution_equations(jax.make_jaxpr(on_cpu(fn))(IMAGES)) == []
    for found, wanted in zip(*(jax.tree.leaves(jax.jit(one)(IMAGES)) for one in (on_cpu(fn), fn)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_function_keeps_its_pytrees_and_its_effects():
    def fn(tree, unused):
        jax.debug.callback(seen.append, tree["x"].sum())
        return {"y": convolved(tree["x"]), "same": tree}

    seen = []
    out = jax.jit(on_cpu(fn))({"x": IMAGES, "number": 3}, None)
    jax.effects_barrier()
    assert set(out) == {"y", "same"}
    assert out["same"]["number"] == 3
    np.testing.assert_allclose(seen, [IMAGES.sum()], rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [
        ((0, 5, 5, 2), (3, 3, 2, 2)),
        ((4, 5, 5, 0), (3, 3, 0, 2)),
        ((4, 5, 5, 2), (3, 3, 2, 0)),
        ((4, 0, 5, 2), (1, 1, 2, 2)),
    ],
)
def test_an_empty_convolution_is_left_alone(shape, kernel):
    x, k = jnp.ones(shape), jnp.ones(kernel)
    wanted = convolved(x, k)
    found = on_cpu(convolved)(x, k)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert len(convolution_equations(jax.make_jaxpr(on_cpu(convolved))(x, k))) == 1


def test_a_convolution_of_integers_is_left_alone():
    x, k = jnp.ones((2, 5, 5, 2), int), jnp.ones((3, 3, 2, 2), int)
    assert len(convolution_equations(jax.make_jaxpr(on_cpu(convolved))(x, k))) == 1


def test_a_convolution_of_very_many_slices_stays_a_convolution():
    x, k = jnp.ones((2, 1000, 3)), jnp.ones((300, 3, 2))
    numbers = ("NWC", "WIO", "NWC")
    fn = functools.partial(lax.conv_general_dilated, window_strides=(1,), padding="VALID", dimension_numbers=numbers)
    assert len(convolution_equations(jax.make_jaxpr(on_cpu(fn))(x, k))) == 1


@pytest.mark.parametrize("numbers", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("CWNH", "OHWI", "HCNW")])
def test_large_convolutions_are_computed_one_run_at_a_time_in_the_order_of_xla(numbers, monkeypatch):
    """The convolution and its gradients, with a kernel per run."""
    monkeypatch.setattr(module, "PRODUCT", 0)
    draw = np.random.default_rng(3)
    sizes = {"N": 4, "C": 2, "H": 7, "W": 6, "O": 3, "I": 2}
    window = sizes | {"H": 3, "W": 2}

    def fn(x, k):
        return lax.conv_general_dilated(x, k, (2, 1), [(1, 2), (0, 1)], dimension_numbers=numbers)

    def gradients(x, k):
        out, pull = jax.vjp(fn, x, k)
        return out, *pull(out)

    x = jnp.asarray(draw.normal(size=(3, *(sizes[axis] for axis in numbers[0]))), np.float32)
    k = jnp.asarray(draw.normal(size=(3, *(window[axis] for axis in numbers[1]))), np.float32)
    found = jax.vmap(on_cpu(gradients))
    eqns = convolution_equations(jax.make_jaxpr(found)(x, k))
    assert [eqn.params["dimension_numbers"] for eqn in eqns] == 3 * [
        lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    ]
    assert all(eqn.params["feature_group_count"] == eqn.params["batch_group_count"] == 1 for eqn in eqns)
    for got, wanted in zip(jax.jit(found)(x, k), jax.jit(jax.vmap(gradients))(x, k), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def channels_last(groups):
    """A convolution with the features last."""
    return functools.partial(
        lax.conv_general_dilated,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize(("batch", "product"), [(1, True), (25, True), (26, False)])
def test_a_small_convolution_becomes_a_product(batch, dtype, groups, product):
    """Its slices have batch * 12 * 12 * 3 * 3 * 8 elements."""
    assert (batch * 12 * 12 * 3 * 3 * 8 <= module.PRODUCT) == product
    with jax.enable_x64(dtype == "float64"):
        x = jax.ShapeDtypeStruct((batch, 12, 12, 8), dtype)
        k = jax.ShapeDtypeStruct((3, 3, 8 // groups, 8), dtype)
        assert bool(equations(jax.make_jaxpr(on_cpu(channels_last(groups)))(x, k), "dot_general")) == product


@pytest.mark.parametrize(("batch", "product"), [(64, True), (1000, True), (10_000, False)])
def test_the_gradient_of_a_convolution_with_groups_becomes_a_product(batch, product):
    """XLA computes it slowly at any size; a product of several gigabytes does not fit into memory."""
    x, k = jax.ShapeDtypeStruct((batch, 12, 12, 8), "float32"), jax.ShapeDtypeStruct((3, 3, 2, 8), "float32")
    gradient = jax.grad(lambda k, x: channels_last(4)(x, k).sum())
    assert bool(equations(jax.make_jaxpr(on_cpu(gradient))(k, x), "dot_general")) == product


def linen_network():
    class Network(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.relu(linen.Conv(3, (3, 3))(x))
            x = linen.max_pool(x, (2, 2), (2, 2))
            x = linen.relu(linen.Conv(4, (3, 3), strides=(2, 2), feature_group_count=1)(x))
            return linen.Dense(3)(x.reshape(len(x), -1))

    net = Network()
    return lambda key: net.init(key, jnp.zeros((1, 8, 8, 1))), net.apply


def nnx_network():
    class Network(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Conv(1, 4, (3, 3), rngs=rngs)
            self.second = nnx.Conv(4, 4, (3, 3), strides=(2, 2), feature_group_count=2, rngs=rngs)
            self.third = nnx.Linear(64, 3, rngs=rngs)

        def __call__(self, x):
            x = nnx.relu(self.second(nnx.relu(self.first(x))))
            return self.third(x.reshape(len(x), -1))

    definition = nnx.graphdef(Network(nnx.Rngs(0)))
    return (
        lambda key: nnx.to_pure_dict(nnx.state(Network(nnx.Rngs(key)), nnx.Param)),
        lambda params, x: nnx.merge(definition, params)(x),
    )


def conv1d_network():
    def init(key):
        a, b = jax.random.split(key)
        return {"kernel": jax.random.normal(a, (5, 8, 4)) / 6, "dense": jax.random.normal(b, (16, 3)) / 4}

    def apply(params, x):
        x = x.reshape(len(x), 8, 8)
        numbers = ("NWC", "WIO", "NWC")
        h = lax.conv_general_dilated(x, params["kernel"], (2,), "SAME", dimension_numbers=numbers)
        return jnp.tanh(h).reshape(len(x), -1) @ params["dense"]

    return init, apply


def problem(network):
    init, apply = network()
    draw = np.random.default_rng(2)
    data = draw.normal(size=(24, 8, 8, 1)).astype(np.float32), draw.integers(0, 3, 24)

    def loss(params, batch):
        x, y = batch
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(apply(params, x)), y[:, None], 1))

    return Problem(init=init, loss=loss, data=data)


def by_hand(task, lrs, steps):
    """The losses of gradient descent on all examples, in a Python loop, with XLA's convolutions."""

    @jax.jit
    def step(params, lr):
        loss, gradient = jax.value_and_grad(task.loss)(params, task.data)
        return jax.tree.map(lambda p, g: p - lr * g, params, gradient), loss

    losses = []
    for lr in lrs:
        params = task.init(jax.random.split(jax.random.key(0), 3)[0])
        for _ in range(steps):
            params, loss = step(params, np.float32(lr))
            losses.append(float(loss))
    return np.reshape(losses, (len(lrs), steps))


@pytest.mark.parametrize(
    ("network", "chunk"), [(linen_network, 3), (nnx_network, 1), (nnx_network, 3), (conv1d_network, 3)]
)
def test_a_sweep_of_a_convolutional_network_equals_a_plain_loop(network, chunk):
    task = problem(network)
    lrs = [0.01, 0.1, 0.3]
    found = gdlab.sweep(task, rules.gd, {"lr": lrs}, steps=5, chunk=chunk)
    np.testing.assert_allclose(found["loss"], by_hand(task, lrs, 5), rtol=2e-5)


@pytest.mark.parametrize(("network", "width"), [(linen_network, 4), (nnx_network, 1), (nnx_network, 4)])
def test_the_program_of_a_sweep_has_no_convolution(network, width):
    _, (group,) = trained(problem(network), rules.gd, {"lr": [0.01, 0.03, 0.1, 0.3]}, steps=2)
    assert group.cost.faster
    assert group.cost.convolved == 0
    programs = chunk_programs(group, Layout(1, width, 4, 1, 2), 4 // width, run_mesh())
    for program in programs.programs:
        assert " convolution(" not in program.text
        assert "feature_group_count" not in program.text


def test_a_program_without_convolutions_is_not_traced_twice(monkeypatch):
    calls = []
    monkeypatch.setattr("gdlab.engine.chunk_programs.on_platform", lambda *args: calls.append(args))
    gdlab.sweep(gdlab.problems.quadratic(), rules.gd, {"lr": [0.01, 0.02]}, steps=2)
    assert calls == []
