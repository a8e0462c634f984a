"""A dumped config loads as the same one, and any text loads or raises ConfigError."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gdlab.config import Config, ConfigError, dump, load

FREE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
HEAD = "name: trial\nproblem: {kind: bowl}\nrules: {gd: {kind: gd}}\ntrain: {steps: 10}\n"

FINITE = st.floats(allow_nan=False, allow_infinity=False)
FLOATS = st.floats(allow_nan=False)
NUMBERS = FLOATS | st.integers(-(2**31), 2**31 - 1)
RATES = st.floats(0, allow_nan=False, allow_infinity=False)
LABELS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
COUNTS = st.integers(1, 10**6)
COSINE = st.builds(lambda peak, steps: {"kind": "cosine", "peak": peak, "steps": steps}, RATES, COUNTS)


DRAWN = st.builds(
    lambda form, hi, n: {form: {"rules.a.beta": [0.5, hi], "problem.condition": [-1, hi, "linear"]}, "n": n},
    st.sampled_from(["random", "sobol"]),
    st.floats(1, 9),
    st.integers(1, 50),
)


def values(column):
    """Up to three different values of an axis."""
    return st.lists(
        column, min_size=1, max_size=3, unique_by=lambda value: repr(None if value is None else float(value))
    )


def section(**fields):
    """A mapping with any of the fields, each from its strategy."""
    return st.fixed_dictionaries({}, optional=fields)


def consistent(written):
    """The config without sections that contradict each other, and with the rule `a` that some axes refer to."""
    written["rules"]["a"] = {"kind": "momentum"}
    if "problem.condition, rules.a.beta" in written.get("sweep", {}):
        written["problem"].pop("condition", None)
    if written["train"].get("batch_size") is not None:
        written.get("sweep", {}).pop("batch_size", None)
    if written.get("record", {}).get("every", 1) is None:
        written.pop("figures", None)
    return written


CONFIGS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        "problem": section(condition=NUMBERS, start=st.lists(NUMBERS, min_size=2, max_size=2)).map(
            lambda h: {"kind": "bowl", **h}
        ),
        "rules": st.dictionaries(
            LABELS,
            section(beta=FLOATS, form=st.sampled_from(["sum", "mean"]), ema=st.booleans(), lr=RATES | COSINE).map(
                lambda h: {"kind": "momentum", **h}
            ),
            min_size=1,
            max_size=3,
        ),
        "train": st.fixed_dictionaries(
            {"steps": COUNTS},
            optional={
                "batch_size": st.none() | COUNTS,
                "sampling": st.sampled_from(["shuffle", "replacement"]),
                "stop": section(loss=st.none() | FINITE, bound=st.none() | FINITE),
            },
        ),
    },
    optional={
        "sweep": section(
            **{
                "seed": COUNTS | values(st.integers(0, 99)),
                "problem.spread": values(st.none() | NUMBERS),
                "rules.a.lr": values(RATES),
                "batch_size": values(st.none() | COUNTS),
                "problem.condition, rules.a.beta": DRAWN,
                "chain": st.lists(
                    section(**{"rules.a.form": st.just(["sum"]), "rules.a.ema": st.just([True])}), min_size=1
                ),
            }
        ),
        "record": section(every=st.none() | COUNTS, probes=st.just([])),
        "landscape": st.none()
        | section(points=st.integers(2, 99) | st.lists(st.integers(2, 99), min_size=2, max_size=2)),
        "figures": st.lists(st.sampled_from(["curves", {"kind": "curves", "levels": 3}]), max_size=2),
        "precision": st.sampled_from(["float32", "float64"]),
        "compute": section(chunk=st.none() | COUNTS),
    },
).map(consistent)


def read(text: str | bytes, name: str = "x.yaml") -> Config:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path).config


@FREE
@given(CONFIGS)
def test_dump_is_read_back_as_written(written):
    config = Config.model_validate(written)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(dump(config))
        resolved = load(path)
        path.write_text(dump(resolved.config))
        again = load(path)
    assert resolved.config == again.config == config
    assert repr(again.over) == repr(resolved.over) or "chain" in config.sweep
    assert repr(again.problem.keywords) == repr(resolved.problem.keywords)
    assert [repr(rule.keywords) for rule in again.rules.values()] == [
        repr(rule.keywords) for rule in resolved.rules.values()
    ]


def test_dump_writes_the_defaults_out():
    text = dump(read(HEAD))
    assert "every: 1\n" in text
    assert "sampling: shuffle\n" in text
    assert text.startswith("name: trial\nproblem: {kind: bowl}\n")


def fits_or_is_refused(text, name="x.yaml"):
    refused = None
    try:
        read(text, name)
    except ConfigError as error:
        refused = error
    assert refused is None or (refused.mistakes and str(refused))
    if refused is None:
        config = read(text, name)
        assert repr(read(dump(config))) == repr(config)  # NaN is not equal to itself


@FREE
@given(st.text() | st.binary())
@example("a: \x85b\u2028c: [")
@example("a: !!map x")
@example("? !!str\n: !!seq")
@example("%YAML 3.0\n---\na")
@example("%TAG ! x\n--- !a b")
@example('a: "\\UFFFFFFFF"')
@example("<<: *a")
@example("&a : *a")
def test_load_raises_config_error_for_any_text(text):
    fits_or_is_refused(text)


SIGNS = [
    *"[]{}:,-?&*!|>'\"%@`#\n\t =.~",
    "  ",
    "\n  ",
    ": ",
    "<<: ",
    "&a ",
    "*a",
    "!!int ",
    "[[",
    "]]",
    '"""',
    "'''",
    " = ",
]
WORDS = ["1", "1e-3", ".nan", "lr", "log", "kind", "gd", "sweep", "rules", "problem", "train", "steps", "figures"]
WORDS += ["null", "seed", "code", "chain", "sobol", "n", "rules.gd.lr"]
LIKE = st.lists(st.sampled_from(SIGNS + WORDS), max_size=30).map("".join)


@FREE
@given(LIKE, st.integers(0, len(HEAD)))
def test_load_raises_config_error_for_any_inserted_text(piece, place):
    fits_or_is_refused(HEAD[:place] + piece + HEAD[place:])


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["gd", "cosine", "lr"]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "kind",
                    "lr",
                    "beta",
                    "lr, beta",
                    "log",
                    "sobol",
                    "chain",
                    "n",
                    "steps",
                    "every",
                    "probes",
                    "stop",
                    "x",
                ]
            ),
            inside,
            max_size=3,
        )
    ),
    max_leaves=6,
)
KEYS = [
    "name",
    "problem",
    "rules",
    "sweep",
    "train",
    "record",
    "landscape",
    "figures",
    "code",
    "precision",
    "compute",
    "extends",
]


@FREE
@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        PLAIN
        | st.dictionaries(st.sampled_from(["gd", "lr", "lr, beta", "seed", "chain", "rules.gd.lr", "kind"]), PLAIN),
    )
)
def test_load_raises_config_error_for_any_value_anywhere(written):
    from io import StringIO

    from ruamel.yaml import YAML

    text = StringIO()
    YAML(typ="safe", pure=True).dump(written, text)
    fits_or_is_refused(text.getvalue())


@FREE
@given(st.lists(st.text(max_size=30) | LIKE | LIKE.map(lambda text: "sweep." + text), max_size=3))
def test_load_raises_config_error_for_any_override(changes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(HEAD)
        refused = None
        try:
            load(path, changes)
        except ConfigError as error:
            refused = error
        assert refused is None or all(mistake.file in ("command line", str(path)) for mistake in refused.mistakes)


def test_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        read(HEAD).name = "other"
