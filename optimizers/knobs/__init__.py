"""Knobs: the numbers and choices of a controller, as a fixed list that a numerical optimizer can turn."""
