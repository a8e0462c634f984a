"""What the command line asks of JAX before its backend starts: a device for each core, and a cache of programs."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gdlab.errors import UserError

if TYPE_CHECKING:
    import jax

# Programs are kept on disk, so that a second process need not compile them again, unless this variable is empty.
CACHE = "GDLAB_CACHE"


class DevicesError(UserError):
    """There are not so many devices."""


def start(devices: int | None = None) -> "list[jax.Device]":
    """The devices to use, `devices` of them, by default all.

    Before the backend starts: let the CPU's cores count as devices, and keep compiled programs on disk.

    The programs lie in `$XDG_CACHE_HOME/gdlab`, by default `~/.cache/gdlab`; the variable `GDLAB_CACHE` names another
    folder, and empty switches it off.

    Raises:
        DevicesError: there are fewer.
    """
    import jax

    with contextlib.suppress(RuntimeError):  # the backend has started: its devices are what there is
        if jax.config.values["jax_num_cpu_devices"] < 0:
            cores = os.cpu_count() or 1
            jax.config.update("jax_num_cpu_devices", min(devices or cores, cores))
    folder = cache_folder()
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder / "programs"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    found = jax.devices()
    if devices is not None and devices > len(found):
        raise DevicesError(f"there are {len(found)} devices ({found[0].device_kind}), not {devices}")
    return found[:devices]


def chunks_file() -> Path | None:
    """Where the widths of chunks that were measured are remembered."""
    folder = cache_folder()
    return folder and folder / "chunks.json"


def cache_folder() -> Path | None:
    """Where gdlab keeps what it can make again; None where nothing is to be kept."""
    named = os.environ.get(CACHE)
    if named is not None:
        return Path(named) if named else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gdlab"
