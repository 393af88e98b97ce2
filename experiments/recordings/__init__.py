"""Recordings of real models that ship: a folder for each benchmark, with a manifest that says what is in it."""
