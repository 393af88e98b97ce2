"""Drift: whether production still is what the controller was learned on, asked again and again without crying wolf."""
