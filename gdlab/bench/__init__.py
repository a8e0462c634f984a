"""Benchmarks: times of the engine and the rules relative to alternatives, measured in one process."""
