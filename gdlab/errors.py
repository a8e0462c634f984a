"""What a user can get wrong, told apart from what the lab gets wrong."""

from pathlib import Path


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
