"""Programs that call Python functions on the host are not shared, even if their texts are equal."""

import gc
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

from gdlab import Problem, evaluate, sweep
from gdlab.engine import chunk_programs
from gdlab.rules import gd
from tests.engine.engine_cases import planned

SCALAR = jax.ShapeDtypeStruct((), jnp.float32)


def host_dtype(fn, x, how=jax.pure_callback):
    """`fn(x)` by Python, in float32."""
    further = {"vmap_method": "sequential"} if how is jax.pure_callback else {}
    return how(lambda v: np.float32(fn(np.asarray(v))), SCALAR, x, **further)


def directly(fn, x):
    return fn(x)


def jitted(fn, x):
    return jax.jit(fn)(x)


def scanned(fn, x):
    return jax.lax.scan(lambda carry, _: (fn(carry), None), x, None, length=1)[0]


def branched(fn, x):
    return jax.lax.cond(x > 0, fn, lambda x: x, x)


@pytest.mark.parametrize(
    ("where", "how"),
    [
        (directly, jax.pure_callback),
        (jitted, jax.pure_callback),
        (scanned, jax.pure_callback),
        (branched, jax.pure_callback),
        (directly, io_callback),
        (jitted, io_callback),
    ],
)
def test_evaluate_calls_the_function_of_each_static_value(where, how):
    def fn(c, x):
        return where(lambda x: host_dtype(lambda v: v * c, x, how), x)

    over = {"c": [1, 2, 3], "x": [1.0, 2.0, 5.0]}
    np.testing.assert_array_equal(evaluate(fn, over, static=["c"])["value"], np.outer([1, 2, 3], [1, 2, 5]))


def test_evaluate_calls_the_function_of_each_of_two_calls():
    for c in range(1, 6):
        values = evaluate(lambda x, c=c: host_dtype(lambda v: v * c, x), {"x": [1.0, 2.0]})["value"]
        np.testing.assert_array_equal(values, [c, 2 * c])
        gc.collect()  # the next function may then have the address of this one


def test_sweep_calls_the_gradient_of_each_problem():
    def problem(target):
        @jax.custom_vjp
        def loss(w, batch):
            return host_dtype(lambda w: 0.5 * (w - target) ** 2, w)

        def forward(w, batch):
            return loss(w, batch), w

        def backward(w, cotangent):
            return cotangent * host_dtype(lambda w: w - target, w), None

        loss.defvjp(forward, backward)
        return Problem(init=lambda key: jnp.zeros(()), loss=loss)

    for target in (1.0, 2.0, 3.0):
        data = sweep(problem(target), gd, {"lr": [0.5, 1.0]}, steps=2)
        np.testing.assert_array_equal(data["final_loss"], [0.5 * (target / 4) ** 2, 0])


class Scale:
    """A callback with a state, equal to any other by `==`."""

    def __init__(self, by):
        self.by = by

    def __eq__(self, other):
        return isinstance(other, Scale)

    def __hash__(self):
        return 0

    def __call__(self, v):
        return np.float32(self.by * np.asarray(v))

    def method(self, v):
        return self(v)


@pytest.mark.parametrize("called", [lambda scale: scale, lambda scale: scale.method])
def test_evaluate_calls_the_method_of_each_object(called):
    for by in (2.0, 3.0):
        scale = Scale(by)
        fn = lambda x, scale=scale: jax.pure_callback(called(scale), SCALAR, x, vmap_method="sequential")
        np.testing.assert_array_equal(evaluate(fn, {"x": [1.0, 2.0]})["value"], [by, 2 * by])


def test_evaluate_calls_each_debug_callback():
    for name in ("one", "other"):
        seen = []

        def fn(x, seen=seen):
            jax.debug.callback(lambda v: seen.append(float(v)), x)
            return x

        evaluate(fn, {"x": [1.0, 2.0]}, chunk=1)
        jax.effects_barrier()
        assert set(seen) == {1.0, 2.0}, name


def test_evaluate_prints_the_debug_text_of_each_function(capfd):
    for word in ("one", "other"):

        def fn(x, word=word):
            jax.debug.print(f"{word} {{x}}", x=x)
            return x

        evaluate(fn, {"x": [1.0, 2.0]}, chunk=1)
        jax.effects_barrier()
        printed = capfd.readouterr().out
        assert {line.split()[0] for line in printed.splitlines()} == {word}


def tripled(v):
    return np.float32(3 * np.asarray(v))


def test_evaluate_compiles_nothing_for_the_same_callback(compilations):
    fn = lambda x: jax.pure_callback(tripled, SCALAR, x, vmap_method="sequential")
    evaluate(fn, {"x": [1.0, 2.0]})
    before = compilations()
    np.testing.assert_array_equal(evaluate(fn, {"x": [1.0, 5.0]})["value"], [3, 15])
    assert compilations() == before


def test_cost_names_callbacks_and_keeps_them_alive():
    costs = []
    for c in (1, 2):
        (group,) = planned(lambda x, c=c: host_dtype(lambda v: v * c, x), {"x": [1.0]})
        costs.append(group.cost)
        gc.collect()
    assert costs[0].program == costs[1].program
    assert costs[0].callbacks != costs[1].callbacks
    (group,) = planned(lambda x: x, {"x": [1.0]})
    assert group.cost.callbacks == ()


def test_evaluate_stores_nothing_of_a_function_with_a_callback(tmp_path):
    for c in (2, 3):
        data = evaluate(lambda x, c=c: host_dtype(lambda v: v * c, x), {"x": [1.0, 2.0]}, folder=tmp_path)
        np.testing.assert_array_equal(data["value"], [c, 2 * c])
    assert not list(tmp_path.iterdir())


def scaled_on_host(c, x):
    return host_dtype(lambda v: v * c, x)


def test_execute_on_calls_the_function_of_each_static_value():
    with ThreadPoolExecutor(1) as executor:
        over = {"c": [1, 2, 3], "x": [1.0, 2.0]}
        values = evaluate(scaled_on_host, over, static=["c"], executor=executor)["value"]
    np.testing.assert_array_equal(values, [[1, 2], [2, 4], [3, 6]])


def test_program_with_an_unknown_callback_primitive_is_not_shared():
    """The search through the jaxpr does not know the primitive; the text of the program shows the callback."""
    from jax.extend.core import Primitive

    batching, mlir = map(pytest.importorskip, ("jax.interpreters.batching", "jax.interpreters.mlir"))
    if not hasattr(mlir, "emit_python_callback"):
        pytest.skip("JAX does not offer this to primitives of one's own")
    called = Primitive("own_call")
    called.def_abstract_eval(lambda aval, by: aval)

    def lowered(context, operand, by):
        result, _, _ = mlir.emit_python_callback(
            context, lambda v: (np.asarray(v) * by.value,), None, [operand], context.avals_in, context.avals_out,
            has_side_effect=False,
        )  # fmt: skip
        return result

    mlir.register_lowering(called, lowered)
    batching.primitive_batchers[called] = lambda args, dims, by: (called.bind(*args, by=by), dims[0])

    class By:
        def __init__(self, value):
            self.value = np.float32(value)

    for by in (2, 3):
        chunk_programs._cache.clear()
        values = evaluate(lambda x, by=by: called.bind(x, by=By(by)), {"x": [1.0, 2.0]})["value"]
        np.testing.assert_array_equal(values, [by, 2 * by])
