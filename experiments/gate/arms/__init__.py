"""Steering inside a run: arms at equal compute, their contrasts, the surface, the ladder."""
