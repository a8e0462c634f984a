"""From a config to a results folder: runs, results, provenance, checks, figures and landscapes."""
