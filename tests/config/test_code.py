"""The Python files of `code`."""

import os
import sys

import pytest

from gdlab import register
from gdlab.config import CodeError, load, load_code

BASE = "name: trial\nproblem: {kind: bowl}\nrules: {mine: {kind: mine, kick: 3}}\ntrain: {steps: 10}\ncode: [mine.py]\n"

MINE = """\
from dataclasses import dataclass
from gdlab import register

runs = []

@dataclass
class State:
    kick: "float"

@register.rule("mine")
def mine(lr=0.1, kick: "float" = 1.0):
    return lr, State(kick)
"""


def test_code_registers_kinds_that_are_checked(write, errors_of):
    write(MINE, "mine.py")
    assert load(write(BASE)).config.code == ["mine.py"]
    assert "x.yaml:3:34: rules.mine.kick: must be a number, not 'a'" in errors_of(BASE.replace("kick: 3", "kick: a"))
    assert "did you mean kick?" in errors_of(BASE.replace("kick: 3", "kik: 3"))


def test_code_is_run_once_and_again_when_it_has_changed(write, tmp_path):
    path = write(MINE + "register.figures['ran'] = register.figures.get('ran', 0) + 1\n", "mine.py")
    load_code(["mine.py"], tmp_path)
    load_code([tmp_path / "mine.py"], ".")
    assert register.figures.pop("ran") == 1
    path.write_text(MINE.replace('rule("mine")', 'rule("yours")'))
    os.utime(path, ns=(1, 1))
    load_code(["mine.py"], tmp_path)
    assert "yours" in register.rules
    assert "mine" not in register.rules


def test_code_writes_no_bytecode(write, tmp_path):
    write(MINE, "mine.py")
    load(write(BASE))
    assert sorted(os.listdir(tmp_path)) == ["mine.py", "x.yaml"]


FAILURES = [
    ("x = 1\n1 / 0\n", "fails at line 2: ZeroDivisionError: division by zero"),
    ("def f():\n    return nothing\n\nf()\n", "fails at line 2: NameError: name 'nothing' is not defined"),
    ("x = (\n", "fails at line 1: SyntaxError: '(' was never closed"),
    (
        "import no_such_module_anywhere\n",
        "fails at line 1: ModuleNotFoundError: No module named 'no_such_module_anywhere'",
    ),
    ("raise SystemExit(3)\n", "fails at line 1: SystemExit: 3"),
    ("raise ValueError\n", "fails at line 1: ValueError"),
    ("class Odd(BaseException):\n    pass\nraise Odd('no')\n", "fails at line 3: Odd: no"),
    (
        "class Odd(Exception):\n    def __str__(self):\n        return 1 / 0\nraise Odd\n",
        "fails at line 4: Odd: its message can't be shown: ZeroDivisionError in its __str__",
    ),
    (
        MINE.replace('"mine"', '"gd"'),
        "fails at line 10: ValueError: the kind 'gd' is already registered, by tests.config.conftest.gd",
    ),
]


@pytest.mark.parametrize(("source", "expected"), FAILURES, ids=[expected for _, expected in FAILURES])
def test_code_that_fails_is_reported(source, expected, write, errors_of):
    write(source, "mine.py")
    known, modules = dict(register.rules), set(sys.modules)
    first = errors_of(BASE).splitlines()[0]
    assert first.startswith(f"x.yaml:5:8: code[0]: {expected}".partition(", by")[0])
    assert register.rules == known
    assert not [name for name in set(sys.modules) - modules if name.startswith("gdlab_code")]


def test_code_that_fails_leaves_the_register_unchanged(write, errors_of):
    write(MINE + "1 / 0\n", "mine.py")
    assert errors_of(BASE).count("x.yaml:") == 1
    assert "mine" not in register.rules


def test_load_code_raises_code_error(write, tmp_path):
    with pytest.raises(CodeError, match=r"^no such file: .*nowhere.py$"):
        load_code(["nowhere.py"], tmp_path)
    with pytest.raises(CodeError, match="can't be read"):
        load_code(["."], tmp_path)


def test_code_is_relative_to_the_config_or_to_code_dir(write, tmp_path):
    write(MINE, "code/mine.py")
    write(BASE, "deep/x.yaml")
    assert load("deep/x.yaml", code_dir=tmp_path / "code").config.rules["mine"].kind == "mine"
