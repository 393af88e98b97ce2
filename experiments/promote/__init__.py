"""Promoting a candidate: certified, registered, verified live, and undone in one command."""
