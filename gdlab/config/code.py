"""The user's Python files of `code`, which register kinds for the config."""

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from gdlab import register
from gdlab.config.errors import message_of
from gdlab.errors import UserError

_SHELVES = (register.rules, register.schedules, register.problems, register.probes, register.figures, register.checks)
_done: dict[str, int] = {}  # file -> its modification time when it was run


class CodeError(UserError):
    """A file of `code` can't be run."""


def load_code(paths: Iterable[str | Path], base_dir: str | Path) -> None:
    """Run each file, relative to `base_dir`, in order (see `run_code`)."""
    for path in paths:
        run_code(Path(base_dir) / path)


def run_code(path: Path) -> None:
    """Run a Python file, whose decorators register kinds. A file that has not changed since it was run is skipped.

    No bytecode is written. If the file fails, the register is restored.

    Raises:
        CodeError: the file can't be read, or it raises an exception; then the message has the exception's type and
            message, and the line in the file.
    """
    real = os.path.realpath(path)
    try:
        changed = os.stat(real).st_mtime_ns
        source = Path(real).read_bytes()
    except FileNotFoundError:
        raise CodeError(f"no such file: {path}") from None
    except OSError as error:
        raise CodeError(f"can't be read: {error.strerror}") from None
    if _done.get(real) == changed:
        return
    name = f"gdlab_code_{sha256(real.encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None:
        raise CodeError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    before = [dict(shelf) for shelf in _SHELVES]
    for shelf in _SHELVES:
        for kind in [kind for kind, entry in shelf.items() if getattr(entry.make, "__module__", None) == name]:
            del shelf[kind]  # registered by an earlier version of the file
    sys.modules[name] = module  # dataclasses and pickle look up the module of a class here
    try:
        exec(compile(source, real, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        for shelf, entries in zip(_SHELVES, before, strict=True):
            shelf.clear()
            shelf.update(entries)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise CodeError(_explained(error, real)) from error
    _done[real] = changed


def _explained(error: BaseException, file: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        return f"fails at line {error.lineno}: {type(error).__name__}: {error.msg}"
    message = message_of(error)
    return f"fails at line {lines[-1]}: {message}" if lines else f"fails: {message}"
