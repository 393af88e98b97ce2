"""Drift of what production serves: read off the corpus, told as a table and a picture."""
