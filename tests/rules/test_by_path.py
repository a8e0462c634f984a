"""`by_path`: rules by the paths of parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdlab.rules import adam, gd
from gdlab.rules.average import average
from gdlab.rules.by_path import by_path
from gdlab.rules.chain import chain
from gdlab.rules.clip_by_norm import clip_by_norm
from gdlab.rules.evaluation import evaluation_point
from gdlab.rules.sam import sam
from tests.rules.wrapper_cases import TREE, X, same


def moved(rule, grads=TREE, params=TREE, **more):
    return rule.update(grads, rule.init(params), params, **more)[0]


def test_by_path_uses_the_rule_of_the_first_pattern_that_matches():
    rule = by_path({"layers/0/*": gd(lr=1.0), "*/bias": gd(lr=2.0), "layers/?/k*": adam(lr=0.5, eps=0.0)})
    got = moved(rule)
    same(got["layers"]["0"], jax.tree.map(jnp.negative, TREE["layers"]["0"]))
    same(got["layers"]["1"]["bias"], -2 * TREE["layers"]["1"]["bias"])
    same(got["layers"]["1"]["kernel"], -0.5 * jnp.sign(X), rtol=1e-5)
    np.testing.assert_array_equal(got["scale"], 0)  # no pattern matches


def test_by_path_with_one_rule_for_all_parameters_is_that_rule():
    rule = chain(optax.clip_by_global_norm(0.5), adam(lr=0.5))
    same(moved(by_path({"*": rule})), moved(rule))


def test_by_path_takes_norms_over_the_parameters_of_one_rule():
    got = moved(by_path({"scale": gd(lr=1.0), "*": clip_by_norm(lr=1.0, max_norm=0.1)}))
    np.testing.assert_allclose(optax.tree.norm(got["layers"]), 0.1, rtol=1e-5)
    same(got["scale"], -TREE["scale"])


def test_by_path_restricts_extra_functions_to_the_parameters_of_one_rule():
    """SAM on one of two leaves takes gradients at points that differ in that leaf only."""
    curvature = {"a": 1.0, "b": 10.0}
    x = {"a": jnp.asarray(2.0), "b": jnp.asarray(1.0)}

    def loss(x):
        return 0.5 * (curvature["a"] * x["a"] ** 2 + curvature["b"] * x["b"] ** 2) + x["a"] * x["b"]

    grads = jax.grad(loss)(x)
    rule = by_path({"a": sam(lr=1.0, rho=0.5), "b": gd(lr=1.0)})
    got = moved(rule, grads, x, grad_fn=jax.grad(loss), value_fn=loss, grad=grads, value=loss(x))
    same(got, {"a": jnp.asarray(-(2.5 + 1.0)), "b": jnp.asarray(-(10.0 + 2.0))})
    lines = by_path({"a": chain(optax.scale(-1.0), optax.scale_by_backtracking_linesearch(10)), "b": gd(lr=0.0)})
    with jax.numpy_dtype_promotion("standard"):
        line = moved(lines, grads, x, value_fn=loss, grad=grads, value=loss(x))
    assert loss({**x, "a": x["a"] + line["a"]}) < loss(x)


def test_by_path_is_evaluated_where_its_rules_are_and_its_state_is_a_scan_carry():
    rule = by_path({"layers/*": average(of="gd", lr=1.0), "*": gd(lr=1.0)})

    @jax.jit
    def run(x):
        def step(carry, _):
            x, state = carry
            updates, state = rule.update(x, state, x)
            return (jax.tree.map(jnp.add, x, jax.tree.map(lambda u: u / 2, updates)), state), None

        return jax.lax.scan(step, (x, rule.init(x)), length=2)[0]

    x, state = run(TREE)
    evaluated = evaluation_point(state, x)
    same(x, jax.tree.map(lambda leaf: leaf / 4, TREE))
    np.testing.assert_allclose(evaluated["layers"]["0"]["kernel"], 0, atol=1e-7)  # the mean after full steps
    same(evaluated["scale"], TREE["scale"] / 4)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), TREE)
    assert jax.tree.map(lambda u: u.dtype, moved(rule, half, half)) == jax.tree.map(lambda u: u.dtype, half)
