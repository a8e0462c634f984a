"""Training runs: one run (`descend`), many runs on the engine (`sweep`), batches and probes."""
