"""A collecting run: its config, its work, its table."""
