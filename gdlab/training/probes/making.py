"""A probe from its entry in the register and options."""

from typing import Any

from gdlab.register import Entry
from gdlab.types import Probe


def probe_of(entry: Entry, **options: Any) -> Probe:
    """The registered probe, or the probe that the registered factory makes from the options.

    Raises:
        ValueError: options for a probe that has none.
        TypeError: an option that the factory does not have.
    """
    if entry.info.get("factory"):
        return entry.make(**options)
    if options:
        raise ValueError(f"the probe {entry.kind} takes no options, but got {', '.join(options)}")
    return entry.make
