"""`requires_extras`: a rule called without an argument that it needs raises an error that names the argument."""

import jax
import jax.numpy as jnp
import optax
import pytest
from flax.training.train_state import TrainState

from gdlab import Problem, descend
from gdlab.rules import sam, svrg
from gdlab.rules.extras import requires_extras
from gdlab.types import Rule
from tests.rules.rule_cases import ENTRIES
from tests.rules.rule_problem import extras


@requires_extras("probe")
def update(grads, state, params, *, value, grad_fn, **extra):
    return grad_fn(params) * value, (state, extra)


def test_requires_extras_passes_everything_on_to_the_update():
    found = update(1.0, "state", 3.0, value=2.0, grad_fn=lambda x: 5 * x, key="more")
    assert found == (30.0, ("state", {"key": "more"}))


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "params and value and grad_fn"),
        ({"params": 1.0}, "value and grad_fn"),
        ({"params": 1.0, "value": 1.0}, "grad_fn"),
        ({"value": 1.0, "grad_fn": abs}, "params"),
        ({"params": None, "value": jnp.ones([]), "grad_fn": None}, "params and grad_fn"),
    ],
)
def test_requires_extras_names_what_is_missing_and_how_to_pass_it(given, missing):
    with pytest.raises(ValueError, match=rf"^probe needs {missing}: ") as found:
        update(1.0, (), **given)
    assert "update(grads, state, params, value=..., grad_fn=...)" in str(found.value)
    assert ("TrainState" in str(found.value)) == (missing != "params")


def test_requires_extras_keeps_params_optional_where_the_update_gives_them_a_default():
    @requires_extras("probe")
    def optional(grads, state, params=None, *, value, **extra):
        return grads, value

    assert Rule(lambda params: (), optional).update(1.0, (), value=2.0) == (1.0, 2.0)


NEEDS = [(e, name) for e in ENTRIES for name in e.info.get("needs", ())]


@pytest.mark.parametrize(
    ("entry", "missing"), [pytest.param(entry, name, id=f"{entry.kind}-{name}") for entry, name in NEEDS]
)
def test_a_rule_names_the_argument_that_its_update_lacks(entry, missing):
    x = jnp.ones((2, 3))
    rule, given = entry.make(), {"params": x, **extras(x, 0)}
    del given[missing]
    with pytest.raises(ValueError, match=f"^{entry.kind} needs {missing}: call update"):
        rule.update(x, rule.init(x), **given)


def test_a_rule_in_flaxs_train_state_names_the_extra_that_it_lacks():
    train = TrainState.create(apply_fn=None, params={"w": jnp.ones(2)}, tx=optax.chain(optax.clip(1.0), sam()))
    with pytest.raises(ValueError, match=r"^sam needs grad_fn: .* call `tx.update` with them"):
        train.apply_gradients(grads={"w": jnp.ones(2)})


def test_descend_names_the_extra_that_the_problem_does_not_have():
    stream = Problem(
        init=lambda key: jnp.ones(2),
        loss=lambda x, batch: jnp.sum((x - batch[0]) ** 2),
        sample=lambda key, step, size: jax.random.normal(key, (size, 2)),
    )
    with pytest.raises(ValueError, match=r"^svrg needs full_grad_fn: .*a problem with `sample` has none"):
        descend(stream, svrg(), jax.random.key(0), steps=1, batch_size=1)
