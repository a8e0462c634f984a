"""Wrapper rules: `of` names the inner rule, and the hyperparameters of both are given side by side."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from click.testing import CliRunner

import gdlab
from gdlab import register
from gdlab.cli import main
from gdlab.config import load
from gdlab.config.json_schema import json_schema
from gdlab.experiment import run as experiment
from gdlab.rules.adam import adam
from gdlab.rules.clip_by_norm import clip_by_norm
from gdlab.rules.hyperparameters import hyperparameters
from gdlab.rules.lookahead import lookahead

BASE = """\
name: t
problem: {kind: bowl}
rules: {a: {kind: clip_by_norm, of: adam, max_norm: 1.0, b1: 0.75}}
train: {steps: 3}
"""
ADAM = {"lr", "b1", "b2", "eps"}


@pytest.fixture(autouse=True)
def wrappers(kinds):
    register.rule("adam")(adam)
    register.rule("clip_by_norm", wraps=True)(clip_by_norm)
    register.rule("lookahead", wraps=True)(lookahead)


def changed(*pairs):
    text = BASE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def made(write, text, **values):
    return load(write(text)).rules["a"](**values)


def two_updates(rule):
    grads, x = jnp.asarray([3.0, -4.0]), jnp.asarray([1.0, 2.0])
    first, state = rule.update(grads, rule.init(x), x)
    return np.stack([first, rule.update(grads[::-1], state, x)[0]])


def expected(lr, max_norm, b1):
    chain = optax.chain(optax.clip_by_global_norm(max_norm), optax.adam(lr, b1))
    with jax.numpy_dtype_promotion("standard"):
        return two_updates(chain)


def test_wrapper_and_inner_rule_get_their_own(write):
    np.testing.assert_allclose(two_updates(made(write, BASE, lr=0.5)), expected(0.5, 1.0, 0.75), rtol=1e-5)
    overridden = made(write, BASE, lr=0.5, max_norm=0.1, b1=0.5)
    np.testing.assert_allclose(two_updates(overridden), expected(0.5, 0.1, 0.5), rtol=1e-5)


def test_wrapper_rate_is_by_default_the_inner_rules(write):
    np.testing.assert_allclose(two_updates(made(write, BASE)), expected(1e-3, 1.0, 0.75), rtol=1e-5)


def test_wrapper_takes_a_schedule_of_either(write):
    text = changed(("b1: 0.75", "b1: 0.75, lr: {kind: cosine, peak: 0.5, steps: 2}"))
    full = expected(0.5, 1.0, 0.75)
    np.testing.assert_allclose(two_updates(made(write, text)), [full[0], full[1] / 2], rtol=1e-5)
    np.testing.assert_allclose(two_updates(made(write, text, **{"lr.peak": 1.0})), [2 * full[0], full[1]], rtol=1e-5)
    text = changed(("max_norm: 1.0", "max_norm: {kind: cosine, peak: 1.0, steps: 100}, lr: 0.5"))
    np.testing.assert_allclose(two_updates(made(write, text)), full, rtol=1e-3, atol=1e-3)


def test_wrapper_around_optax(write):
    text = changed(("of: adam", "of: 'optax:adam', lr: 0.5"))
    np.testing.assert_allclose(two_updates(made(write, text)), expected(0.5, 1.0, 0.75), rtol=1e-5)


def test_wrapper_around_a_wrapper(write):
    """`of` may be a mapping; a name sets the hyperparameter of the rule that has it, at any depth."""
    inside = "{kind: lookahead, of: {kind: clip_by_norm, of: adam, max_norm: 1.0, b1: 0.75}, period: 1}"
    text = changed(("{kind: clip_by_norm, of: adam, max_norm: 1.0, b1: 0.75}", inside))
    assert type(made(write, text).init(jnp.ones(2))).__name__ == "LookaheadState"
    full = expected(0.5, 1.0, 0.75)[0]
    np.testing.assert_allclose(two_updates(made(write, text, lr=0.5, pull=0.25))[0], full / 4, rtol=1e-5)
    other = made(write, text + "sweep: {pull: [1, 0.5], eps: [1e-3, 1e-8]}", lr=0.5, pull=1.0, max_norm=0.1, b1=0.5)
    np.testing.assert_allclose(two_updates(other)[0], expected(0.5, 0.1, 0.5)[0], rtol=1e-5)


def test_wrapper_hyperparameters(write):
    factory = load(write(BASE)).rules["a"]
    assert hyperparameters(factory) == ADAM | {"max_norm"}
    assert hyperparameters(factory.func) == ADAM | {"max_norm"}
    assert hyperparameters(functools.partial(clip_by_norm, of="adam")) == ADAM | {"max_norm", "of"}
    assert hyperparameters(functools.partial(clip_by_norm, of=adam, max_norm=1.0)) == ADAM | {"max_norm", "of"}
    nested = functools.partial(lookahead, of=functools.partial(clip_by_norm, of="adam"))
    assert hyperparameters(nested) == ADAM | {"max_norm", "of", "pull", "period"}
    assert hyperparameters(clip_by_norm) == {"lr", "max_norm", "of"}  # around its default, gd


def test_wrapper_hyperparameters_can_be_swept(write, errors_of):
    sweep = "sweep: {lr: [0.1, 1], b1: [0.5, 0.9], max_norm: [0.1, 1]}\n"
    text = changed((", max_norm: 1.0, b1: 0.75", ""))
    assert list(load(write(text + sweep)).over) == ["lr", "b1", "max_norm"]
    assert "rules.a.b1 is set, and b1 is also a sweep axis" in errors_of(BASE + "sweep: {b1: [0.5, 0.9]}\n")
    assert "no rule has a hyperparameter b11" in errors_of(BASE + "sweep: {b11: [0.5, 0.9]}\n")


@pytest.mark.parametrize(
    ("old", "new", "told_"),
    [
        ("b1:", "b11:", "rules.a.b11: the rule clip_by_norm has no hyperparameter b11 | did you mean b1?"),
        (
            "max_norm:",
            "max_nrm:",
            "rules.a.max_nrm: the rule clip_by_norm has no hyperparameter max_nrm | did you mean max_norm?",
        ),
        ("of: adam", "of: adm", "rules.a.of: there is no rule 'adm' | did you mean adam?"),
        ("of: adam", "of: 3", "rules.a.of: must be a rule's kind, or a mapping with its kind, not 3"),
        ("of: adam", "of: [adam]", "rules.a.of: must be a rule's kind, or a mapping with its kind, not ['adam']"),
        ("of: adam", "of: {b2: 0.5}", "rules.a.of: must be a rule's kind, or a mapping with its kind, not a mapping"),
        ("of: adam", "of: {kind: adm}", "rules.a.of.kind: there is no rule 'adm' | did you mean adam?"),
        ("of: adam", "of: 'optax:adan_'", "rules.a.of: optax has no optimiser 'adan_'"),
        (
            "of: adam",
            "of: {kind: adam, b3: 1}",
            "rules.a.of.b3: the rule clip_by_norm has no hyperparameter b3 | it has b1, b2, eps, lr, max_norm",
        ),
        ("of: adam", "of: {kind: adam, b2: x}", "rules.a.of.b2: must be a number, not 'x'"),
        (
            "of: adam",
            "of: {kind: adam, b1: 0.5}",
            "rules.a.of.b1: b1 is also a hyperparameter of the wrapper clip_by_norm | drop one",
        ),
        (
            "of: adam, max_norm: 1.0",
            "of: {kind: clip_by_norm, of: adam, max_norm: 1.0}",
            "rules.a.of.max_norm: max_norm is also a hyperparameter of the wrapper clip_by_norm | "
            "it can't be given to the clip_by_norm inside",
        ),
        ("b1: 0.75", "b1: fast", "rules.a.b1: must be a number, not 'fast'"),
    ],
)
def test_wrapper_errors(errors_of, old, new, told_):
    lines = errors_of(changed((old, new))).splitlines()
    head, _, hint = told_.partition(" | ")
    assert lines[0].partition(": ")[2].startswith(head)
    assert not hint or lines[-1].strip() == hint
    assert len([line for line in lines if line.startswith("x.yaml")]) == 1


def test_wrapper_schema_offers_rules_and_mappings():
    (schema,) = (kind for kind in json_schema()["$defs"]["rule"]["oneOf"] if kind["title"] == "clip_by_norm")
    kinds, mapping = schema["properties"]["of"]["anyOf"]
    assert {"adam", "gd", "lookahead"} <= set(kinds["anyOf"][0]["enum"])
    assert mapping == {"$ref": "#/$defs/rule"}
    assert schema["properties"]["of"]["default"] == "gd"
    assert schema["additionalProperties"]


def test_wrapper_is_swept_by_prepare(write):
    """lr, b1 and max_norm are traced numbers of one program."""

    def quarter():
        return gdlab.Problem(init=lambda key: jnp.ones(2), loss=lambda x, batch: 0.25 * jnp.sum(x**2))

    register.problem("quarter")(quarter)
    text = changed((", max_norm: 1.0, b1: 0.75", ""), ("{kind: bowl}", "{kind: quarter}"))
    path = write(text + "sweep: {lr: [0.1, 0.5], b1: [0.5, 0.9], max_norm: [0.1, 1, 10]}\n")
    checked = CliRunner().invoke(main, ["validate", str(path)])
    assert checked.exit_code == 0, checked.output
    assert "is fine" in checked.output
    prepared = experiment.prepare(load(path))
    assert [group.size for group in prepared.groups] == [12]
