"""`from_optax`: optax's optimisers by name."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from gdlab import Problem, sweep
from gdlab.rules.evaluation import evaluation_point
from gdlab.rules.from_optax import from_optax, names
from gdlab.rules.hyperparameters import hyperparameters
from tests.rules.rule_cases import gradients, trajectory
from tests.rules.rule_problem import extras

# Required arguments other than the learning rate.
MORE = {
    "dpsgd": {"l2_norm_clip": 1.0, "noise_multiplier": 0.1, "seed": 0},
    "noisy_sgd": {"key": jax.random.key(0)},
}
PER_EXAMPLE = {"dpsgd"}  # takes the gradient of each example, with a leading axis
G, X = gradients(4)


def loss(params):
    return sum(jnp.sum(leaf.astype(jnp.float32) ** 2) for leaf in jax.tree.leaves(params))


def form(tree):
    return jax.tree.structure(tree), [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(tree)]


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("name", names())
def test_from_optax_rules_trace_with_all_extras_and_keep_their_dtypes(name, dtype):
    """Under strict promotion, with a traced float32 lr and all extras: the state has constant structure and dtypes."""
    factory, x = from_optax(name), {"w": jnp.ones((2, 3), dtype), "b": jnp.ones(3, dtype)}
    rate = "lr" if "lr" in inspect.signature(factory).parameters else "max_learning_rate"

    def two(lr, x):
        rule = factory(**{rate: lr}, **MORE.get(name, {}))
        states, key = [rule.init(x)], jax.random.key(0)
        for step in range(2):
            value, grads = jax.value_and_grad(loss)(x)
            given = jax.tree.map(lambda g: g[None], grads) if name in PER_EXAMPLE else grads
            extras = {"value": value, "grad": grads, "value_fn": loss, "grad_fn": jax.grad(loss), "key": key}
            updates, state = rule.update(given, states[-1], x, step=step, **extras)
            states.append(state)
            x = jax.tree.map(lambda a, u: a + u, x, updates)
        return states, updates

    states, updates = jax.eval_shape(two, jnp.float32(0.1), x)
    assert form(states[1])[0] == form(states[0])[0]
    assert [s[:2] for s in form(states[2])[1]] == [s[:2] for s in form(states[0])[1]]
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(dtype)}


QUICK = ("adafactor", "adam", "lion", "sgd")
THEIRS = {"sophia": {"value_fn": "obj_fn"}}  # optax's names


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]
)
def test_from_optax_rules_mapped_over_lr_are_optaxs_in_a_loop(name):
    """Three steps with all extras: vmapped and compiled over three traced lrs, against optax with one lr at a time."""
    factory, x = from_optax(name), jnp.asarray(X, jnp.float32)
    rate = "lr" if "lr" in inspect.signature(factory).parameters else "max_learning_rate"
    theirs = inspect.unwrap(factory)

    def given(grads):
        return grads[None] if name in PER_EXAMPLE else grads

    @jax.jit
    @jax.vmap
    def ours(lr):
        rule = factory(**{rate: lr}, **MORE.get(name, {}))
        point, state, seen = x, rule.init(x), []
        for t in range(3):
            extra = extras(point, t)
            updates, state = rule.update(given(extra["grad"]), state, point, **extra)
            point = point + updates
            seen.append(updates)
        return jnp.stack(seen)

    rates = (0.003, 0.01, 0.03)
    mapped = ours(jnp.asarray(rates))
    for lr, row in zip(rates, mapped, strict=True):
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            long = "learning_rate" if rate == "lr" else rate
            optimiser = optax.with_extra_args_support(theirs(**{long: lr}, **MORE.get(name, {})))
            point, state = x, optimiser.init(x)
            for t in range(3):
                extra = {key: extras(point, t)[key] for key in ("value", "grad", "value_fn")}
                extra |= {word: extra[ours_] for ours_, word in THEIRS.get(name, {}).items()}
                updates, state = optimiser.update(given(extra["grad"]), state, point, **extra)
                np.testing.assert_allclose(row[t], updates, rtol=1e-4, atol=1e-5 * np.abs(updates).max())
                point = point + updates


@pytest.mark.parametrize(
    ("name", "values", "culprit"),
    [
        ("adam", {"lr": 0.1, "nesterov": True}, "nesterov"),
        ("lbfgs", {"lr": 0.1, "memory_size": 5}, "memory_size"),
        ("galore", {"lr": 0.1, "rank": 2}, "rank"),
        ("adafactor", {"lr": 0.1, "decay_rate": 0.7, "factored": True}, "factored"),
    ],
)
def test_from_optax_names_the_number_that_optax_cant_trace(name, values, culprit):
    """The message names the right one of several numbers; as a fixed value that number is accepted."""
    message = f"optax's {name} can't take {culprit} as a swept or scheduled number; give it as a fixed value"

    x = jnp.asarray(X, jnp.float32)

    def three(values):
        rule = from_optax(name)(**values)
        point, state = x, rule.init(x)
        for t in range(3):
            extra = extras(point, t)
            updates, state = rule.update(extra["grad"], state, point, **extra)
            point = point + updates
        return point

    with pytest.raises(TypeError, match=message) as caught:
        jax.jit(three)(values)
    assert isinstance(caught.value.__cause__, TypeError | IndexError)
    fixed = values.pop(culprit)
    expected = jax.jit(lambda values: three({**values, culprit: fixed}))(values)
    assert np.isfinite(expected).all()
    scheduled = from_optax(name)(**values, **{culprit: lambda t: jnp.where(t > 1, 0, 1)})
    with pytest.raises(TypeError, match=message):
        jax.jit(lambda x: scheduled.update(x, scheduled.init(x), x, **extras(x, 0)))(x)


def test_from_optax_axis_that_cant_be_traced_splits_the_sweep():
    bowl = Problem(init=lambda key: jnp.ones(2), loss=lambda x, batch: 0.5 * jnp.sum(x**2))
    over = {"lr": [0.1, 0.2], "memory_size": [1, 4]}
    data = sweep(bowl, from_optax("lbfgs"), over, steps=3)
    for size in (1, 4):
        # Both lrs in one program: under vmap, optax's L-BFGS takes other steps than for a single lr.
        part = sweep(bowl, functools.partial(from_optax("lbfgs"), memory_size=size), {"lr": [0.1, 0.2]}, steps=3)
        np.testing.assert_allclose(data["final_loss"].sel(memory_size=size), part["final_loss"], rtol=1e-5)


def test_from_optax_keeps_errors_that_are_not_of_tracing():
    with pytest.raises(TypeError, match="not int32"):
        jax.jit(lambda lr: from_optax("adam")(lr=lr).init(jnp.arange(3)))(0.1)


@pytest.mark.parametrize("name", ["schedule_free_sgd", "schedule_free_adamw"])
def test_from_optax_schedule_free_rules_are_evaluated_at_their_average(name):
    """The same as optax's `schedule_free_eval_params`, also in the state of a chain and of a scheduled rule."""
    rule, x = from_optax(name)(lr=0.1, b1=0.75), jnp.asarray(X, jnp.float32)
    optimiser = getattr(optax.contrib, name)(0.1, b1=0.75)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        updates, state = trajectory(optimiser, x, grads=jnp.asarray(G, jnp.float32))
        end = x + updates.sum(0)
        expected = optax.contrib.schedule_free_eval_params(state, end)
    ours, state = trajectory(rule, x, grads=jnp.asarray(G, jnp.float32))
    np.testing.assert_allclose(ours, updates, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(evaluation_point(state, end), expected, rtol=1e-5)
    assert np.abs(expected - end).max() > 1e-3
    np.testing.assert_array_equal(evaluation_point((optax.EmptyState(), state), end), evaluation_point(state, end))
    half = evaluation_point(jax.jit(rule.init)(x.astype(jnp.bfloat16)), x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    scheduled = from_optax(name)(lr=lambda t: 0.1, b1=0.75)
    _, state = trajectory(scheduled, x, grads=jnp.asarray(G, jnp.float32))
    np.testing.assert_allclose(evaluation_point(state, end), expected, rtol=1e-5)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("name", "theirs", "values"),
    [
        ("adam", optax.adam, {"b2": 0.9}),
        ("lion", optax.lion, {"weight_decay": 0.1}),
        ("muon", optax.contrib.muon, {}),
    ],
)
def test_from_optax_updates_are_optaxs(name, theirs, values):
    grads, params = jnp.asarray(G, jnp.float32), jnp.asarray(X, jnp.float32)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        expected, _ = trajectory(theirs(0.1, **values), params, grads=grads)
    updates, _ = jax.jit(lambda lr: trajectory(from_optax(name)(lr=lr, **values), params, grads=grads))(0.1)
    np.testing.assert_allclose(updates, expected, rtol=2e-5, atol=1e-7)


def test_from_optax_keeps_moments_in_float32_for_bfloat16_gradients():
    """Optax itself keeps Adam's moments in bfloat16, where b2 = 0.999 rounds to 1."""
    rule, g = from_optax("adam")(lr=0.5), jnp.asarray(G[0], jnp.bfloat16)
    updates, state = rule.update(g, rule.init(g))
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype("float32"), jnp.dtype("int32")}
    np.testing.assert_allclose(updates.astype("float32"), -0.5 * np.sign(G[0]), rtol=1e-2)


def test_from_optax_in_float64():
    with jax.enable_x64(True):
        g = jnp.asarray(G[0])
        rule = from_optax("adam")(lr=jnp.float32(0.5), b2=0.75)
        updates, _ = rule.update(g, rule.init(g))
        assert updates.dtype == jnp.float64
        np.testing.assert_allclose(updates, -0.5 * np.abs(G[0]) / (np.abs(G[0]) + 1e-8) * np.sign(G[0]), rtol=1e-7)


def test_from_optax_takes_schedules_for_numbers_but_not_a_mask_for_a_schedule():
    x = {"w": jnp.asarray([2.0]), "b": jnp.asarray([2.0])}
    zero = jax.tree.map(jnp.zeros_like, x)
    decay = lambda t: 0.1 * (t + 1)
    made = from_optax("adamw")(lr=0.5, weight_decay=decay, mask=lambda params: {"w": True, "b": False})
    state = made.init(x)
    for shrunk in (0.1, 0.2):
        updates, state = made.update(zero, state, x)
        np.testing.assert_allclose(updates["w"], [-0.5 * shrunk * 2], rtol=1e-6)
        np.testing.assert_array_equal(updates["b"], [0.0])
    for rate in ("lr", "learning_rate"):
        made = from_optax("sgd")(**{rate: lambda t: 0.5 / (t + 1)})
        state = made.init(1.0)
        seen = []
        for _ in range(2):
            updates, state = made.update(1.0, state)
            seen.append(float(updates))
        assert seen == [-0.5, -0.25]


def test_from_optax_lbfgs_and_sophia_get_their_extra_arguments():
    curvature = jnp.asarray([1.0, 10.0])
    objective = lambda x: 0.5 * jnp.sum(curvature * x**2)
    for name, steps in (("lbfgs", 12), ("sophia", 200)):
        rule, x = from_optax(name)(lr=None if name == "lbfgs" else 0.02), jnp.ones(2)

        def step(carry, index, rule=rule):
            x, state = carry
            value, grad = jax.value_and_grad(objective)(x)
            extras = {"value": value, "grad": grad, "value_fn": objective, "key": jax.random.key(0), "step": index}
            updates, state = rule.update(grad, state, x, **extras)
            return (x + updates, state), None

        x = jax.lax.scan(step, (x, rule.init(x)), jnp.arange(steps))[0][0]
        assert objective(x) < 1e-2 * objective(jnp.ones(2))


def test_from_optax_factory_has_the_signature_and_docstring_of_optax():
    factory = from_optax("adam")
    assert factory is from_optax("adam")
    parameters = inspect.signature(factory).parameters
    assert list(parameters) == ["lr", "b1", "b2", "eps", "eps_root", "mu_dtype", "nesterov"]
    assert parameters["b2"].default == 0.999
    assert factory.__doc__ == optax.adam.__doc__
    assert hyperparameters(from_optax("polyak_sgd")) >= {"max_learning_rate", "f_min"}


def test_names_are_the_optimisers_that_wrap_no_other_rule():
    have = set(names())
    assert {"adam", "sgd", "lbfgs", "polyak_sgd", "adafactor", "prodigy", "muon", "sophia", "dowg"} <= have
    assert not have & {"scale_by_adam", "scale_by_learning_rate", "schedule_free", "sam", "lookahead", "clip", "chain"}
    assert list(names()) == sorted(have)
    assert len(have) >= 40


@pytest.mark.parametrize(
    ("wrong", "message"), [("adamm", "did you mean adam"), ("muonn", "did you mean muon"), ("???", r"'\?\?\?'$")]
)
def test_from_optax_suggests_the_nearest_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        from_optax(wrong)


def test_from_optax_refuses_wrong_hyperparameters():
    with pytest.raises(TypeError, match="betta"):
        from_optax("adam")(lr=0.1, betta=0.5)
    with pytest.raises(TypeError, match="lr and learning_rate are the same hyperparameter"):
        from_optax("adam")(lr=0.1, learning_rate=0.5)
