"""Analysis of results: best point, range of good learning rates, tuning budget, and verdicts on claims."""
