"""Results do not depend on the number of devices and of processes of one program.

The number of devices is fixed when JAX starts, so each number of devices has a process of its own.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.real_processes import OFTEN, SMALL, assert_same, the_folder, with_config

SWEEPS = """
import pickle
import sys

import jax
import jax.numpy as jnp
import numpy as np

import gdlab
import gdlab.problems
from gdlab import rules
from gdlab.engine import layout

points = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
cloud = gdlab.Problem(
    init=lambda key: jax.random.normal(key, (3,)),
    loss=lambda x, batch: 0.5 * ((x[None] - batch) ** 2 * jnp.array([[1.0, 2.0, 5.0]])).sum(axis=1).mean(),
    data=points,
)


with_empties = gdlab.Problem(
    init=lambda key: {"x": cloud.init(key), "none": jnp.zeros(0), "no rows": jnp.zeros((0, 3))},
    loss=lambda params, batch: cloud.loss(params["x"], batch) + params["none"].sum() + params["no rows"].sum(),
    data=points,
)


def swept(over, rule=rules.momentum, problem=cloud, **settings):
    probes = {"x": lambda step: step.params}
    wanted = {"steps": 600, "every": 20, "batch_size": 5, "probes": probes, "chunk": 8}
    return gdlab.sweep(problem, rule, over, **{**wanted, **settings})


layout.WORTHWHILE = 1.0  # many segments, as for long runs
LR = [0.001, 0.01, 0.1, 0.15, 0.2, 0.3, 0.4, 0.8, 1.6, 3.2, 6.4]
CASES = {
    "many": lambda: swept({"lr": LR, "seed": 5}),
    "seven": lambda: swept({"lr": LR[:7]}, {"gd": rules.gd, "heavy": rules.momentum}),
    "one": lambda: swept({"lr": LR[:1]}),
    "single": lambda: swept({"lr": LR[2:9], "seed": 2}, chunk=1),
    "network": lambda: gdlab.sweep(
        gdlab.problems.mlp("wine", widths=(8,)), rules.adam, {"lr": LR[:5], "seed": 2}, steps=12, chunk=4
    ),
    "empties": lambda: swept({"lr": LR}, problem=with_empties, probes={"no rows": lambda s: s.updates["no rows"]}),
    "function": lambda: gdlab.evaluate(lambda x, y: jnp.sin(x) * y, {"x": np.linspace(0, 1, 7), "y": [1.0, 2.0]}),
}


def write_all(file):
    found = {case: make() for case, make in CASES.items()}
    plain = {case: {n: (v.dims, v.values) for n, v in data.variables.items()} for case, data in found.items()}
    with open(file, "wb") as opened:
        pickle.dump(plain, opened)
"""
ALONE = """
jax.config.update("jax_num_cpu_devices", {devices})
assert len(jax.devices()) == {devices}
write_all({file!r})
"""
TOGETHER = """
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(coordinator_address="127.0.0.1:{port}", num_processes=2, process_id={process})
assert len(jax.devices()) == 4 and len(jax.local_devices()) == 2
write_all({file!r})
jax.distributed.shutdown()
"""


def begin(script, cache):
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", SWEEPS + script], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def result(process, file):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return pickle.loads(file.read_bytes())


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def on_one(cache):
    file = cache / "1.pickle"
    return result(begin(ALONE.format(devices=1, file=str(file)), cache), file)


def assert_same_bits(found, wanted, but=()):
    assert found.keys() == wanted.keys()
    for case, variables in wanted.items():
        if case in but:
            continue
        assert found[case].keys() == variables.keys()
        for name, (dims, values) in variables.items():
            assert found[case][name][0] == dims, (case, name)
            bits = (lambda a: a.tolist()) if values.dtype == object else (lambda a: a.tobytes())
            assert bits(found[case][name][1]) == bits(values), (case, name)


def test_sweep_cases_hold_runs_that_diverge_early_late_and_never(on_one):
    ends = on_one["many"]["diverged_at"][1]
    assert ends.shape == (11, 5)
    assert len(np.unique(ends)) > 3
    assert 0 < (ends >= 0).mean() < 0.5
    assert on_one["seven"]["loss"][1].shape == (2, 7, 30)
    assert on_one["empties"]["no rows"][1].shape == (11, 30, 0, 3)
    assert len(np.unique(on_one["empties"]["diverged_at"][1])) > 3
    assert on_one["one"]["x"][1].shape == (1, 30, 3)


@pytest.fixture(scope="module")
def on_several(cache):
    """The results by number of devices."""
    files = {devices: cache / f"{devices}.pickle" for devices in (2, 4)}
    return {
        devices: result(begin(ALONE.format(devices=devices, file=str(file)), cache), file)
        for devices, file in files.items()
    }


@pytest.mark.parametrize("devices", [2, 4])
def test_sweep_on_several_devices_has_the_bits_of_one_device(devices, on_one, on_several):
    assert_same_bits(on_several[devices], on_one, but=["network"])


def test_sweep_of_a_network_has_the_same_bits_on_two_devices_or_more(on_several):
    assert_same_bits(on_several[4], on_several[2])


def test_sweep_of_a_network_on_one_device_differs_by_rounding_only(on_one, on_several):
    """XLA optimises a program for one device with other passes than a program for several."""
    for name, (_, values) in on_one["network"].items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(on_several[2]["network"][name][1], values, rtol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(on_several[2]["network"][name][1], values, err_msg=name)


@pytest.mark.slow
def test_sweep_in_two_processes_has_the_bits_of_one_device(cache, on_one):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    files = [cache / f"process-{process}.pickle" for process in range(2)]
    scripts = [TOGETHER.format(port=port, process=process, file=str(files[process])) for process in range(2)]
    processes = [begin(script, cache) for script in scripts]
    for process, file in zip(processes, files, strict=True):
        assert_same_bits(result(process, file), on_one, but=["network"])


CHUNK = "compute.chunk=8"


@pytest.fixture(scope="module")
def whole(processes, tmp_path_factory):
    home = with_config(tmp_path_factory.mktemp("whole"))
    done = processes.call(home, "run", "c.yaml", CHUNK, knobs=SMALL, devices=1)
    assert done.code == 0, done.err
    return the_folder(home)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 4), (4, 2)])
def test_resume_continues_on_another_number_of_devices(processes, home, whole, before, after):
    done = processes.call(home, "run", "c.yaml", CHUNK, knobs=OFTEN, devices=before, at=("segment", 8))
    assert done.code == -signal.SIGKILL
    folder = the_folder(home)
    assert list(folder.glob(".checkpoint*"))
    done = processes.call(home, "resume", folder, knobs=OFTEN, devices=after, events=home / "events")
    assert done.code == 0, done.err
    assert_same(folder, whole)


def test_run_uses_the_devices_that_it_is_given(processes, home, whole):
    done = processes.call(home, "run", "c.yaml", CHUNK, "--devices", 3, knobs=SMALL, devices=4)
    assert done.code == 0, done.err
    folder = the_folder(home)
    assert '"devices": 3' in (folder / "provenance.json").read_text()
    assert_same(folder, whole)


MISSING = f"1000 devices were requested, but there are only {os.cpu_count()} (cpu)\n"


def test_run_refuses_more_devices_than_there_are(processes, home):
    done = processes.call(home, "run", "c.yaml", "--devices", 1000)
    assert (done.code, done.err) == (2, MISSING)
    assert not (home / "results").exists()


def test_resume_refuses_more_devices_than_there_are(processes, whole):
    before = {path: path.read_bytes() for path in sorted(whole.rglob("*")) if path.is_file()}
    done = processes.call(whole.parents[2], "resume", whole, "--devices", 1000)
    assert (done.code, done.err) == (2, MISSING)
    assert {path: path.read_bytes() for path in sorted(whole.rglob("*")) if path.is_file()} == before
