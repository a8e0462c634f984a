"""Run some sweeps on two devices, and print the compiled HLO of each of their programs as JSON."""

import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from gdlab import Stop, problems, rules
from gdlab.engine import execute as engine
from gdlab.engine import layout, tile_run
from gdlab.engine.execute import Settings, run_mesh
from tests.engine.engine_cases import bowl, executed, trained


def sweeps():
    """By name: problem, rule, seeds, runs of a chunk, examples of a batch."""
    return {
        "network": (problems.mlp("wine", widths=(6,)), rules.adam, 3, 16, 16),
        "bowl": (bowl(), rules.momentum, 2, 8, None),
        "uneven": (bowl(), rules.gd, 5, 9, None),  # chunks that no device shares evenly
    }


def with_collective():
    """The HLO of a program with a collective."""
    numbers = jax.ShapeDtypeStruct((4,), np.float32, sharding=NamedSharding(run_mesh(), PartitionSpec("run")))
    return jax.jit(jnp.sum).lower(numbers).compile().as_text()


def seen(make, into):
    """The function, recording its results in a list."""

    def made(*args):
        into.append(make(*args))
        return into[-1]

    return made


def main():
    jax.config.update("jax_num_cpu_devices", 2)
    assert run_mesh().size == 2
    # Many segments, so that runs that have ended are removed.
    layout.WORTHWHILE = 1.0
    gather, programs = tile_run.gather, tile_run.chunk_programs
    texts = {"collective": [with_collective()]}
    for name, (problem, rule, seeds, chunk, batch_size) in sweeps().items():
        made, moving = [], []
        engine.chunk_programs = tile_run.chunk_programs = seen(programs, made)
        tile_run.gather = seen(gather, moving)
        over = {"lr": 2.0 ** np.arange(-8, 40), "seed": seeds}
        stop = Stop(loss=0.3, bound=1e4)
        executed(*trained(problem, rule, over, steps=32, batch_size=batch_size, stop=stop), Settings(chunk=chunk))
        texts[name] = [program.text for each in made for program in each.programs]
        texts[f"{name}, moving"] = [program.text for program in moving]
    print(json.dumps(texts))


if __name__ == "__main__":
    main()
