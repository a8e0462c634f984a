"""Ctrl-C as a wish: the first lets the segment under way finish, the second stops at once."""

import os
import signal
import sys
import threading
from types import FrameType

from gdlab.errors import Halted


class Interrupt:
    """A context in which the first SIGINT or SIGTERM only makes the object true; called, it says whether it is.

    Where that halts what is done in the context, the process ends there and then, with the exit code 130: otherwise it
    would wait for programs that are being compiled and that nobody will run.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        return self._asked

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():  # others can't take signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._asked and isinstance(error, Halted | KeyboardInterrupt):
            print(error if isinstance(error, Halted) else "interrupted", file=sys.stderr, flush=True)
            sys.stdout.flush()
            os._exit(130)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        print("stopping after this segment; once more to stop at once", file=sys.stderr, flush=True)
