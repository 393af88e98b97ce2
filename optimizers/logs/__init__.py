"""Recorded rounds as arrays: states, options, rewards, and what is left out."""
