"""Set up JAX before its backend starts: CPU cores as devices, and a cache of compiled programs on disk."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gdlab.errors import UserError

if TYPE_CHECKING:
    import jax

# The environment variable that names the folder of compiled programs; if it is empty, there is no cache.
CACHE = "GDLAB_CACHE"


class DevicesError(UserError):
    """There are fewer devices than requested."""


class CacheError(UserError):
    """The folder of compiled programs belongs to another user."""


def start(devices: int | None = None) -> "list[jax.Device]":
    """The first `devices` devices, by default all.

    If the backend has not started, each CPU core becomes a device, and compiled programs are cached on disk: in the
    folder that `GDLAB_CACHE` names, by default `$XDG_CACHE_HOME/gdlab` or `~/.cache/gdlab`. An empty `GDLAB_CACHE`
    turns the cache off. Only the user may read or write the folder, because programs in it are executed.

    Raises:
        DevicesError: there are fewer devices.
        CacheError: the cache folder belongs to another user.
    """
    import jax

    with contextlib.suppress(RuntimeError):  # the backend has started, so its devices are fixed
        if jax.config.values["jax_num_cpu_devices"] < 0:
            cores = os.cpu_count() or 1
            jax.config.update("jax_num_cpu_devices", min(devices or cores, cores))
    folder = cache_folder()
    if folder is not None:
        with contextlib.suppress(OSError):  # no cache where the folder can't be created, as in a read-only home
            jax.config.update("jax_compilation_cache_dir", str(_private(folder / "programs")))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
            jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    found = jax.devices()
    if devices is not None and devices > len(found):
        raise DevicesError(
            f"{devices} devices were requested, but there are only {len(found)} ({found[0].device_kind})"
        )
    return found[:devices]


def cache_folder() -> Path | None:
    """The folder of compiled programs; None if the cache is off."""
    named = os.environ.get(CACHE)
    if named is not None:
        return Path(named) if named else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gdlab"


def _private(folder: Path) -> Path:
    """The folder, created if it is missing, which only its owner may use."""
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        if folder.stat().st_uid != os.getuid():
            raise CacheError(
                f"the folder of compiled programs {folder} belongs to another user, who could put programs into it; "
                f"set {CACHE} to a folder of yours, or to an empty string to turn the cache off"
            )
        folder.chmod(0o700)
    return folder
