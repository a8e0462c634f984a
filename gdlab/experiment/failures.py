"""Failures of a landscape, a check or a figure: they are reported, and the results of the sweep stay valid."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gdlab.engine.execute import Stopped
from gdlab.errors import UserError

_PACKAGE = str(Path(__file__).parents[1])


class Failure(NamedTuple):
    """A part of an experiment that failed: a message that names it and the cause, and the exception."""

    message: str
    error: Exception


@contextmanager
def recorded(what: str, failures: list[Failure]) -> Iterator[None]:
    """A context that catches an exception and appends it to `failures`, with the message "WHAT: CAUSE".

    `Stopped` and `OSError` (a full disk, for example) are not caught: `gdlab resume` continues after them.
    """
    try:
        yield
    except (Stopped, OSError):
        raise
    except Exception as error:  # the user's figures, checks and problems can raise anything
        failures.append(Failure(f"{what}: {explained(error)}", error))


def explained(error: Exception) -> str:
    """The message of a UserError; of others the type, the first line, and the file and line in user code."""
    if isinstance(error, UserError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    users = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith((_PACKAGE, "<"))]
    place = f" (in {users[-1].filename}, line {users[-1].lineno})" if users else ""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}{place}"
