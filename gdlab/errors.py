"""Errors that a user can mend, and suggestions for a misspelt name."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

_LONGEST_WORD = 200  # characters; the comparison takes quadratic time


class UserError(Exception):
    """Something asked for can't be done; `str()` of it names the cause, the place and the way out."""


class SelectionError(UserError, ValueError):
    """The results don't hold what is asked of them."""


class PartlyFailed(Exception):  # noqa: N818  (a result, though not the one that was asked for)
    """Some runs failed; all others are done, and kept in `folder`."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{reason}\nTo run what failed: gdlab resume {folder}")


class Halted(Exception):  # noqa: N818  (as likely a wish as an error)
    """The runs stopped before their end; what was done is kept in `folder`."""

    def __init__(self, folder: Path, reason: str, interrupted: bool) -> None:
        super().__init__(f"{reason}; what was done is kept. To go on: gdlab resume {folder}")
        self.folder, self.interrupted = folder, interrupted


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most similar to `word` (a difflib ratio of at least 0.6); None where there is none."""
    near = get_close_matches(word, list(known), n=1) if len(word) <= _LONGEST_WORD else []
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """ "did you mean X?", X the known name nearest to `word` behind the prefix; empty where none is near."""
    near = nearest(word, known)
    return f"did you mean {prefix}{near}?" if near else ""
