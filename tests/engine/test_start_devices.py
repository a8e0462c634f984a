"""`devices.start` chooses devices and the folder of compiled programs; each case runs in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gdlab.engine.devices import CacheError, _private, cache_folder

SCRIPT = """
import json, sys
import jax
from gdlab.engine.devices import DevicesError, start
before, asked = json.loads(sys.argv[1])
if before == "started":
    jax.devices()
elif before is not None:
    jax.config.update("jax_num_cpu_devices", before)
try:
    found = len(start(asked))
except DevicesError as error:
    found = str(error)
print(json.dumps([found, jax.config.values["jax_compilation_cache_dir"]]))
"""


def started(before, asked, **environment):
    """What `start(asked)` returns, and the folder of programs; `before`: the number of devices set beforehand."""
    settings = {**os.environ, "JAX_PLATFORMS": "cpu", "GDLAB_CACHE": "", **environment}
    words = [sys.executable, "-c", SCRIPT, json.dumps([before, asked])]
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_start_makes_each_core_a_device_and_sets_the_cache(tmp_path):
    found, folder = started(None, None, GDLAB_CACHE=str(tmp_path))
    assert found == os.cpu_count()
    assert folder == str(tmp_path / "programs")


def test_start_makes_the_cache_private(tmp_path):
    (tmp_path / "programs").mkdir(mode=0o777)
    (tmp_path / "programs").chmod(0o777)
    started(None, None, GDLAB_CACHE=str(tmp_path))
    assert (tmp_path / "programs").stat().st_mode & 0o777 == 0o700


def test_start_refuses_a_cache_of_another_user(tmp_path, monkeypatch):
    (tmp_path / "programs").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: (tmp_path / "programs").stat().st_uid + 1)
    with pytest.raises(CacheError, match="belongs to another user"):
        _private(tmp_path / "programs")


@pytest.mark.parametrize(
    ("before", "asked", "found"),
    [
        (4, 3, 3),
        (4, 5, "5 devices were requested, but there are only 4 (cpu)"),
        ("started", 2, "2 devices were requested, but there are only 1 (cpu)"),
    ],
)
def test_start_keeps_the_devices_that_are_set(before, asked, found):
    assert started(before, asked) == [found, None]


def test_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("GDLAB_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.setenv("GDLAB_CACHE", "")
    assert cache_folder() is None
    monkeypatch.delenv("GDLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/gdlab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "gdlab"


FLAGS = """
import os
import gdlab, jax
from gdlab.engine.devices import DevicesError
if "started" in os.environ:
    jax.devices()
try:
    gdlab.use_all_cores()
except DevicesError as error:
    print(error)
else:
    print(os.environ["XLA_FLAGS"], len(jax.devices()))
"""
EXTRA, OPTION = "--xla_backend_extra_options=", "xla_cpu_small_while_loop_byte_threshold"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", f"{EXTRA}{OPTION}=1000000"),
        ("--xla_cpu_enable_fast_math=false", f"--xla_cpu_enable_fast_math=false {EXTRA}{OPTION}=1000000"),
        (f"{EXTRA}xla_cpu_use_multi_output_fusion=false",
         f"{EXTRA}xla_cpu_use_multi_output_fusion=false,{OPTION}=1000000"),
        (f"{EXTRA}{OPTION}=7", f"{EXTRA}{OPTION}=7"),
    ],
)  # fmt: skip
def test_use_all_cores_adds_the_option_and_keeps_the_flags_of_the_user(flags, expected):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    done = subprocess.run([sys.executable, "-c", FLAGS], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{expected} {os.cpu_count()}"


def test_use_all_cores_refuses_a_backend_that_has_started():
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "started": "1"}
    done = subprocess.run([sys.executable, "-c", FLAGS], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("JAX has started, so its devices are fixed")
