"""Run a config on Slurm, from a node that may submit jobs: python slurm.py CONFIG [KEY=VALUE ...]

Replace the partition, the time limit and the numbers below by yours.
"""

import signal
import subprocess
import sys

from dask_jobqueue import SLURMCluster

JOBS = 8  # one worker each
CORES = 16  # per job
READY = 4  # the sweep starts when this many workers are connected; the size of a task depends on their number

if __name__ == "__main__":
    with SLURMCluster(
        queue="batch",
        walltime="04:00:00",
        memory="32GB",
        cores=1,  # a worker runs one task at a time ...
        processes=1,
        job_cpu=CORES,  # ... on all cores of its job
        job_script_prologue=[f"export JAX_NUM_CPU_DEVICES={CORES}"],
        # job_extra_directives=["--gres=gpu:1"],  # for GPUs
        # scheduler_options={"interface": "ib0"},  # if jobs can't reach the default address of this node
    ) as cluster:
        cluster.scale(jobs=JOBS)
        cluster.wait_for_workers(READY)
        signal.signal(signal.SIGINT, lambda *_: None)  # gdlab handles Ctrl-C and keeps the finished runs
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        sys.exit(subprocess.call(["gdlab", "run", *sys.argv[1:], "--on", address]))
