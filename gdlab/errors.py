"""Errors that a user can fix, and suggestions for a misspelt name."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

_LONGEST_WORD = 200  # characters; the comparison takes quadratic time


class UserError(Exception):
    """A request can't be carried out; the message states the cause, where it occurred and how to fix it."""


class SelectionError(UserError, ValueError):
    """The results don't contain what was requested."""


class PartlyFailed(Exception):  # noqa: N818  (an incomplete result rather than an error)
    """Some runs failed; all others are complete, and their results are in `folder`."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{reason}\nTo run what failed: gdlab resume {folder}")


class Halted(Exception):  # noqa: N818  (often requested by the user)
    """The runs stopped before their end; the results so far are kept in `folder`."""

    def __init__(self, folder: Path, reason: str, interrupted: bool) -> None:
        super().__init__(f"{reason}; what was done is kept. To go on: gdlab resume {folder}")
        self.folder, self.interrupted = folder, interrupted


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most similar to `word` (a difflib ratio of at least 0.6); None if there is none."""
    near = get_close_matches(word, list(known), n=1) if len(word) <= _LONGEST_WORD else []
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The text "did you mean X?", where X is `prefix` plus the known name nearest to `word`; empty if none is near."""
    near = nearest(word, known)
    return f"did you mean {prefix}{near}?" if near else ""
