"""What `.ci/run` needs: smoke tests of every package, and a newer Python only where there is one that works."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in (ROOT / "gdlab").glob("*/__init__.py"))
BROKEN = "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n"
WORKS = "#!/bin/sh\nexit 0\n"
SHELL = shutil.which("sh")
PYENV = "pyenv/versions/3.13.0/bin/python3.13"


def has_smoke_test(path):
    return any(ast.unparse(node) == "pytest.mark.smoke" for node in ast.walk(ast.parse(path.read_text())))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_a_smoke_test(package):
    tests = [*(ROOT / "tests" / package).rglob("test_*.py"), *(ROOT / "tests").glob(f"test_{package}*.py")]
    assert any(map(has_smoke_test, tests)), f"mark a fast test of tests/{package} or tests/test_{package}.py as smoke"


@pytest.fixture
def newer(tmp_path, monkeypatch):
    """`newer("3.11", {"bin/python3.13": BROKEN})`: the newer Python that is found beside this default version."""

    def find(own, files):
        for name, text in ({"bin/python3": f"#!/bin/sh\necho {own.split('.')[1]}\n"} | files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
        found = subprocess.run([SHELL, ROOT / ".ci" / "newer-python"], capture_output=True, text=True, check=True)
        assert not found.stderr
        return found.stdout.strip().removeprefix(f"{tmp_path}/")

    return find


@pytest.mark.parametrize(
    ("own", "files", "found"),
    [
        ("3.11", {}, ""),
        ("3.11", {"bin/python3.12": WORKS, "bin/python3.13": WORKS}, "bin/python3.13"),
        ("3.11", {"bin/python3.12": WORKS, "bin/python3.13": BROKEN}, "bin/python3.12"),
        ("3.11", {"bin/python3.13": BROKEN}, ""),
        ("3.11", {"bin/python3.13": BROKEN, PYENV: WORKS}, PYENV),
        ("3.11", {"pyenv/versions/3.12.1/bin/python3.12": WORKS}, "pyenv/versions/3.12.1/bin/python3.12"),
        ("3.12", {"bin/python3.12": WORKS}, ""),
        ("3.12", {"bin/python3.12": WORKS, "bin/python3.13": WORKS}, "bin/python3.13"),
        ("3.13", {"bin/python3.13": WORKS}, ""),
    ],
)
def test_a_newer_python_is_one_that_runs(newer, own, files, found):
    assert newer(own, files) == found
