"""What results say: the best point, the range of good learning rates, the tuning budget, and verdicts on claims."""
