"""How a command ends: the exit codes, and the messages for what a user can get wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from gdlab.errors import Halted, PartlyFailed, UserError

FAILED, WRONG, PARTLY, NOT_HELD, INTERRUPTED = 1, 2, 3, 4, 130


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn what a user can get wrong into a message and an exit code; what the lab gets wrong keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        stop(INTERRUPTED, "interrupted")
    except Halted as halted:
        stop(INTERRUPTED if halted.interrupted else FAILED, str(halted))
    except PartlyFailed as failed:
        stop(PARTLY, str(failed))
    except UserError as error:
        stop(WRONG, str(error))
    except BrokenPipeError:
        raise  # whoever read the output has had enough; click ends quietly
    except OSError as error:
        stop(FAILED, f"{error.filename}: {error.strerror}" if error.filename else str(error))


def stop(code: int, message: str) -> NoReturn:
    """End the process with a message."""
    click.echo(message, err=True)
    sys.exit(code)
