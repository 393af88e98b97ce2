"""A gate on the holdout: registered, run once, reported."""
