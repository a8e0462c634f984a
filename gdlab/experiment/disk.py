"""The space that the results of an experiment need on the disk."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gdlab.engine.forecast import stored_bytes
from gdlab.engine.plan import Group
from gdlab.errors import UserError


class DiskSpace(NamedTuple):
    """Bytes that the results need, uncompressed, and bytes that are free on the disk of `folder`."""

    needed: int
    free: int
    folder: Path

    def __str__(self) -> str:
        return f"the results take up to {in_units(self.needed)}; {self.folder} has {in_units(self.free)} free"


def disk_space(groups: Sequence[Group], out: Path) -> DiskSpace:
    """The space for the results of some groups in the folder `out`, or in its nearest parent that exists."""
    folder = next(path for path in (out, *out.absolute().parents) if path.exists())
    return DiskSpace(sum(map(stored_bytes, groups)), shutil.disk_usage(folder).free, folder)


def refuse_small_disk(space: DiskSpace) -> None:
    """Refuse to start if the results do not fit on the disk.

    Raises:
        UserError: the message has the sizes and says how to reduce the results.
    """
    if space.needed > space.free:
        raise UserError(
            f"the disk is too small: {space}. Record less often (record.every), drop probes (record.probes), sweep "
            "fewer points, or choose a folder on another disk (--out)"
        )


def in_units(size: int) -> str:
    """A number of bytes as text, such as "372.5 GiB"."""
    power = min(5, max(0, (max(size, 1).bit_length() - 1) // 10))
    return f"{size / 2 ** (10 * power):.1f} {('', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi')[power]}B" if power else f"{size} B"
