"""Properties of every rule: traced numbers, one program, a fixed state structure, precision, use in optax chains."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdlab.rules
from gdlab import register
from gdlab.rules.evaluation import evaluation_point
from tests.rules.rule_cases import Case, every_entry, every_rule, gradients, some_rules, trajectory
from tests.rules.rule_problem import bowl_extras, extras

STEPS = 8
G, X = gradients(STEPS)
MIXES = {
    "f32": ([jnp.float32] * 3, False),
    "bf16": ([jnp.bfloat16] * 3, False),
    "f64": ([jnp.float64] * 3, True),
    "mixed": ([jnp.bfloat16, jnp.float32, jnp.float16], False),
    "mixed-x64": ([jnp.bfloat16, jnp.float64, jnp.float32], True),
}


def final(case, numbers):
    grads = None if case.needs else jnp.asarray(G, float)
    x = jnp.asarray(X, float)
    updates, state = trajectory(case(**numbers), x, steps=STEPS, grads=grads)
    # with the evaluation point, because some numbers change only that
    return jnp.concatenate([updates, evaluation_point(state, x + updates.sum(0))[None]])


def assert_trees_close(left, right):
    def compare(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * np.max(np.abs(b), initial=1e-24))

    jax.tree.map(compare, left, right)


@every_rule
def test_rule_mapped_over_a_number_equals_a_loop_and_compiles_once(case, x64):
    """One run for each number, with another value of it.

    In float64: at large learning rates some rules amplify the rounding errors of float32, which depend on the machine.
    """
    low, high = case.at(0.2), case.at(0.7)
    rows = [low, *({**low, name: high[name]} for name in case.numbers)]
    mapped = jax.jit(jax.vmap(lambda numbers: final(case, numbers)))(
        {n: jnp.asarray([r[n] for r in rows]) for n in low}
    )
    traces = []

    @jax.jit
    def one(numbers):
        traces.append(numbers)
        return final(case, numbers)

    for row, updates in zip(rows, mapped, strict=True):
        assert_trees_close(updates, one(row))
    assert len(traces) == 1
    assert not (mapped[1:] == mapped[:1]).all(axis=(1, 2, 3)).any()  # every number has an effect


def first_update(rule, x):
    return rule.update(x, rule.init(x), x, **bowl_extras(x))


@every_rule
def test_rule_under_jit_equals_the_rule_without(case):
    def first(numbers, x):
        return first_update(case(**numbers), x)

    numbers, x = case.at(0.4), jnp.asarray(X, jnp.float32)
    assert_trees_close(jax.jit(first)(numbers, x), first(numbers, x))


def signature(tree):
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in jax.tree.leaves(tree)]


@every_rule
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("given", ["python", "float32", "bfloat16"])
def test_state_keeps_its_structure_and_dtypes_and_updates_have_those_of_params(case, mix, given):
    """For all dtypes of parameters and numbers; the state is at least float32."""
    dtypes, x64 = MIXES[mix]
    with jax.enable_x64(x64):
        x = {"a": jnp.ones((2, 3), dtypes[0]), "b": [jnp.ones((), dtypes[1]), jnp.ones((0, 2), dtypes[2])]}
        numbers = case.at(0.5) if given == "python" else {n: jnp.asarray(v, given) for n, v in case.at(0.5).items()}

        def run(x, numbers):
            rule = case(**numbers)
            return rule.init(x), first_update(rule, x)

        state, (updates, after) = (
            jax.eval_shape(run, x, numbers) if given != "python" else (jax.eval_shape(lambda x: run(x, numbers), x))
        )
    assert signature(after) == signature(state)
    assert [leaf.dtype for leaf in jax.tree.leaves(updates)] == dtypes
    assert [leaf.shape for leaf in jax.tree.leaves(updates)] == [leaf.shape for leaf in jax.tree.leaves(x)]
    assert all(leaf.dtype == jnp.int32 or leaf.dtype.itemsize >= 4 for leaf in jax.tree.leaves(state))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves((state, updates)))


@some_rules(lambda case: not case.needs)
def test_rule_in_bfloat16_rounds_only_the_updates(case):
    """The state equals that after the same gradients in float32; the updates are those of float32, rounded."""
    half = jnp.asarray(G[0], jnp.bfloat16)
    rule = case(**case.defaults)
    updates, state = first_update(rule, half)
    exact, expected = first_update(rule, half.astype(jnp.float32))
    jax.tree.map(np.testing.assert_array_equal, state, expected)
    np.testing.assert_array_equal(updates, exact.astype(jnp.bfloat16))


@pytest.mark.slow
@some_rules(lambda case: case.entry.info.get("differentiable", True))
def test_run_has_the_derivative_of_finite_differences_by_its_numbers(case):
    """In float64. One coordinate never has a gradient, as in a dead unit."""
    with jax.enable_x64(True):
        curvature = jnp.asarray([[1.0, 0.3, 0.0], [0.5, 0.2, 0.0]])
        start, numbers = jnp.asarray([[1.0, -2.0, 0.0], [0.5, 1.5, 0.0]]), case.at(0.2)
        counts = {name: value for name, value in numbers.items() if isinstance(value, int)}
        names = [name for name in numbers if name not in counts]

        def loss(values):
            rule = case(**counts, **{name: values[i] for i, name in enumerate(names)})
            x, state = start, rule.init(start)
            for t in range(2):
                grads = curvature * x
                updates, state = rule.update(grads, state, x, **(extras(x, t) | {"grad": grads}))
                x = x + updates
            return 0.5 * jnp.sum(curvature * x**2)

        at = np.asarray([0.1 if name == "lr" else numbers[name] for name in names])
        steps = np.diag(1e-4 * at)
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(loss)))(np.stack([at, *(at + steps), *(at - steps)]))
        ahead, behind = np.split(values[1:], 2)
        np.testing.assert_allclose(slopes[0], (ahead - behind) / (2e-4 * at), rtol=1e-5, atol=1e-9)


@every_rule
def test_rule_in_an_optax_chain_sees_the_changed_gradients(case):
    rule, g, x = case(**case.at(0.3)), jnp.asarray(G[0], jnp.float32), jnp.asarray(X, jnp.float32)
    chain, offered = optax.chain(optax.clip(0.5), rule), extras(x, 0)
    updates, _ = chain.update(g, chain.init(x), x, **offered)
    assert_trees_close(updates, rule.update(jnp.clip(g, -0.5, 0.5), rule.init(x), x, **offered)[0])


@every_rule
def test_rule_refuses_an_array_for_a_number(case):
    x = jnp.ones((2, 2))
    for name in case.numbers:
        rule = case(**{**case.defaults, name: jnp.full(4, 0.1)})
        with pytest.raises(ValueError, match=rf"{name} must be one number, not an array of shape \(4,\)"):
            first_update(rule, x)


@every_rule
@pytest.mark.parametrize("bad", [jnp.arange(3), jnp.ones(2, jnp.complex64)])
def test_rule_refuses_integer_and_complex_parameters(case, bad):
    rule, offered = case(**case.defaults), bowl_extras(jnp.ones((2, 3)))

    def first():
        return rule.update(bad, rule.init(bad), bad, **offered)

    with pytest.raises(TypeError, match=f"not {bad.dtype}"):
        first()


@every_entry
def test_entry_has_its_source_ranges_needs_and_doctest(entry):
    assert entry.summary
    assert entry.source
    assert entry.info["url"].startswith("https://")
    assert 1800 < entry.info["year"] < 2100
    numbers = Case(entry, {}).defaults
    assert set(entry.info["ranges"]) == set(numbers)
    assert entry.info.get("scope", "coordinate") in ("coordinate", "leaf", "tree")
    assert set(entry.info.get("needs", ())) <= {"params", *extras(jnp.ones((2, 3)), 0)}
    assert entry.info["memory"] >= 0
    for name, (lo, hi) in entry.info["ranges"].items():
        assert lo <= numbers[name] <= hi
    assert f">>> rule = {entry.kind}(" in entry.make.__doc__


def test_importing_rules_imports_no_slow_packages():
    heavy = ("flax", "matplotlib", "sklearn", "xarray", "pandas", "pydantic")
    code = f"import sys, gdlab.rules, gdlab.schedules; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_registered_factory_is_exported():
    ours = {kind for kind, e in register.rules.items() if e.make.__module__.startswith("gdlab.rules.")}
    assert {*ours, "from_optax", "chain", "by_path"} == set(gdlab.rules.__all__)
