"""Run a sweep as one program on the devices of several hosts; `one_program.sh` starts this script on each host.

python one_program.py COORDINATOR:PORT HOSTS NUMBER
"""

import sys

import jax

coordinator, hosts, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
jax.config.update("jax_cpu_collectives_implementation", "gloo")  # no effect on GPUs
jax.distributed.initialize(coordinator, num_processes=hosts, process_id=number)

import gdlab  # noqa: E402  (the line above must run before JAX starts)
from gdlab.problems import rosenbrock  # noqa: E402
from gdlab.rules import momentum  # noqa: E402

over = {"lr": gdlab.log(1e-5, 1e-2, 64), "beta": [0.8, 0.9, 0.95], "seed": 4}
data = gdlab.sweep(rosenbrock, momentum, over, steps=2000, every=100)  # every process gets all results
if number == 0:
    data.to_zarr("one_program.zarr", mode="w", consolidated=False)
    print(f"{data['final_loss'].size} runs on {jax.device_count()} devices of {hosts} hosts")
