"""Exit codes of the commands, and the messages of errors that a user can correct."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from gdlab.errors import Halted, PartlyFailed, UserError

FAILED, WRONG, PARTLY, NOT_HELD, INTERRUPTED = 1, 2, 3, 4, 130
# The key in `click.Context.meta` of the flag `--traceback`.
TRACEBACK = "gdlab.traceback"


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn errors that a user can correct into a message and an exit code; bugs of gdlab keep their traceback."""
    try:
        yield
    except KeyboardInterrupt:
        stop(INTERRUPTED, "interrupted")
    except Halted as halted:
        stop(INTERRUPTED if halted.interrupted else FAILED, str(halted))
    except PartlyFailed as failed:
        stop(PARTLY, str(failed))
    except UserError as error:
        print_traceback(error)
        stop(WRONG, str(error))
    except BrokenPipeError:
        raise  # the reader closed the pipe; click exits without a message
    except OSError as error:
        stop(FAILED, f"{error.filename}: {error.strerror}" if error.filename else str(error))


def print_traceback(error: BaseException) -> None:
    """With `--traceback`, print the traceback of an error and of its cause on standard error."""
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(TRACEBACK):
        click.echo("".join(traceback.format_exception(error)), err=True)


def stop(code: int, message: str) -> NoReturn:
    """Print a message on standard error, and exit with a code."""
    click.echo(printable(message), err=True)
    sys.exit(code)


def printable(text: str) -> str:
    """The text with control characters escaped, since labels in results from elsewhere can hold terminal commands."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
