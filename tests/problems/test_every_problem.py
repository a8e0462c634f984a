"""Properties of every registered problem."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import problems, register

ENTRIES = {kind: entry for kind, entry in register.problems.items() if entry.make.__module__.startswith("gdlab.")}
NUMBERS = [(kind, name) for kind, e in ENTRIES.items() for name, p in e.parameters.items() if p.annotation is float]
every_problem = pytest.mark.parametrize("kind", ENTRIES)


def test_problems_are_registered_under_their_names():
    assert {kind: entry.make.__name__ for kind, entry in ENTRIES.items()} == {name: name for name in problems.__all__}
    assert len(ENTRIES) == 13


@every_problem
def test_problems_have_docstrings(kind):
    entry = ENTRIES[kind]
    assert entry.source
    assert " = " in entry.summary
    assert "Source: " in inspect.getdoc(entry.make)
    for parameter in entry.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
        assert parameter.default is not inspect.Parameter.empty


@every_problem
def test_problems_are_finite_and_equal_under_jit(kind):
    problem = ENTRIES[kind].make()
    key = jax.random.key(0)
    params = jax.tree.map(lambda leaf: leaf + 0.01, problem.init(key))
    value, grads = problem.value_and_grad(params, problem.data)
    assert value.shape == ()
    assert jax.tree.structure(grads) == jax.tree.structure(params)
    jitted = jax.jit(lambda p: ENTRIES[kind].make().value_and_grad(p, problem.data))(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), (value, grads), jitted)
    held_out = {name: metric(params, problem.eval_data) for name, metric in problem.metrics.items()}
    for leaf in jax.tree.leaves((value, grads, held_out, dict(problem.facts))):
        assert np.isfinite(np.asarray(leaf, float)).all()
    assert all(metric.shape == () for metric in held_out.values())


@every_problem
def test_problems_init_depends_on_the_key_only(kind):
    problem, keys = ENTRIES[kind].make(), jax.random.split(jax.random.key(5), 3)
    mapped = jax.vmap(lambda key: ENTRIES[kind].make().init(key))(keys)
    for i, key in enumerate(keys):
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a, b[i], rtol=1e-6), problem.init(key), mapped)


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
def test_problems_traced_number_equals_a_loop(kind, name):
    key, values, make = jax.random.key(1), [0.5, 2.0], ENTRIES[kind].make
    data, start = make().data, make().init(key)
    params = jax.tree.map(lambda leaf: leaf + 0.1, start)

    def measured(value):
        problem = make(**{name: value})
        return problem.value_and_grad(params, data), {k: v for k, v in problem.facts.items() if k != "domain"}

    def slope(value):
        return jax.grad(lambda v: measured(v)[0][0])(value)

    # Starting points are drawn outside of jit: compiling the generator anew for each problem takes seconds.
    starts = jax.vmap(lambda value: make(**{name: value}).init(key))(jnp.asarray(values))
    mapped, slopes = jax.jit(lambda v: (jax.vmap(measured)(v), jax.vmap(slope)(v)))(jnp.asarray(values))
    for i, value in enumerate(values):
        expected = (make(**{name: value}).init(key), measured(value))
        found = jax.tree.map(lambda leaf, i=i: leaf[i], (starts, mapped))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5), expected, found)
    assert jnp.isfinite(slopes).all()


@every_problem
def test_problems_are_float64_under_x64(kind, x64):
    problem = ENTRIES[kind].make()
    params = jax.eval_shape(problem.init, jax.random.key(0))
    outputs = jax.eval_shape(problem.value_and_grad, params, problem.data)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, outputs))} == {jnp.dtype("float64")}


@every_problem
def test_problems_count_examples_without_loading(kind):
    entry, problem = ENTRIES[kind], ENTRIES[kind].make()
    if problem.data is None:
        assert "examples" not in entry.info
        return
    assert entry.info["examples"]() == len(problem.data.x) == len(problem.data.y)
    assert len(problem.eval_data.x) > 0
    if "wine" in str(entry.parameters["data"].annotation):
        assert entry.info["examples"](data="wine", l2=0.5) == len(entry.make(data="wine").data.x) == 143


@pytest.mark.parametrize("kind", [kind for kind in ENTRIES if "domain" in ENTRIES[kind].make().facts])
def test_problems_start_and_minimisers_lie_in_the_domain(kind):
    problem = ENTRIES[kind].make()
    lo, hi = np.transpose(problem.facts["domain"])
    points = [problem.init(jax.random.key(0)), *problem.facts.get("minimisers", [problem.facts.get("saddle_point")])]
    for point in points:
        assert (lo < point).all()
        assert (point < hi).all()
