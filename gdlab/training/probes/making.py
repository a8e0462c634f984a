"""A probe made of its entry in the register and options."""

from typing import Any

from gdlab.register import Entry
from gdlab.types import Probe


def probe_of(entry: Entry, **options: Any) -> Probe:
    """The probe that is registered, or that its factory makes of the options.

    Raises:
        ValueError: options for a probe that has none.
        TypeError: from a factory, for an option that it does not have.
    """
    if entry.info.get("factory"):
        return entry.make(**options)
    if options:
        raise ValueError(f"the probe {entry.kind} has no options, so no {', '.join(options)}")
    return entry.make
