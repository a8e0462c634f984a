"""Graceful handling of Ctrl-C: the first Ctrl-C stops after the current segment, the second stops at once."""

import os
import signal
import sys
import threading
from types import FrameType

from gdlab.errors import Halted


class Interrupt:
    """A context in which the first SIGINT or SIGTERM is recorded, and the second raises KeyboardInterrupt.

    Calling the object returns whether a signal was recorded, so the object can be passed as a `stop` callback. Signals
    are recorded instead of raised, because JAX loses an exception that is raised inside one of its callbacks.

    If the context ends with Halted or KeyboardInterrupt after a signal, the process exits at once with the code 130,
    without waiting for programs that are still being compiled in background threads.
    """

    def __init__(self) -> None:
        self._signalled = False
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        return self._signalled

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal was recorded."""
        if self._signalled:
            raise KeyboardInterrupt

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():  # Python delivers signals to the main thread only
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._record)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._signalled and isinstance(error, Halted | KeyboardInterrupt):
            print(error if isinstance(error, Halted) else "interrupted", file=sys.stderr, flush=True)
            sys.stdout.flush()
            os._exit(130)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # a handler that signal.signal returned

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True
        print("stopping after this segment; press Ctrl-C again to stop at once", file=sys.stderr, flush=True)
