"""Run a sweep on worker processes of this machine, then on a local dask cluster: `python local.py`."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from distributed import Client, LocalCluster

import gdlab
from gdlab.problems import rosenbrock
from gdlab.rules import momentum

OVER = {"lr": gdlab.log(1e-5, 1e-2, 64), "beta": [0.8, 0.9, 0.95], "seed": 4}


def main() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        first = gdlab.sweep(rosenbrock, momentum, OVER, steps=2000, every=100, executor=executor)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        second = gdlab.sweep(rosenbrock, momentum, OVER, steps=2000, every=100, executor=client)
    print("the same bits:", first.identical(second.assign_attrs(first.attrs)))


if __name__ == "__main__":  # workers import this file
    main()
