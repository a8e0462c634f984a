"""Run a config on Slurm, from a node that may submit jobs: python slurm.py CONFIG [KEY=VALUE ...]

Put your partition, your account and your numbers in place of those here.
"""

import signal
import subprocess
import sys

from dask_jobqueue import SLURMCluster

JOBS = 8  # each is one worker
CORES = 16  # of a job
READY = 4  # jobs that must run before it begins: how runs are cut into tasks depends on how many workers there are

if __name__ == "__main__":
    with SLURMCluster(
        queue="batch",
        walltime="04:00:00",
        memory="32GB",
        cores=1,  # a worker does one task at a time ...
        processes=1,
        job_cpu=CORES,  # ... on all cores of its job
        job_script_prologue=[f"export JAX_NUM_CPU_DEVICES={CORES}"],
        # job_extra_directives=["--gres=gpu:1"],  # for GPUs
        # scheduler_options={"interface": "ib0"},  # if jobs can't reach this node by its first address
    ) as cluster:
        cluster.scale(jobs=JOBS)
        cluster.wait_for_workers(READY)
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for gdlab, which keeps what is done
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        sys.exit(subprocess.call(["gdlab", "run", *sys.argv[1:], "--on", address]))
