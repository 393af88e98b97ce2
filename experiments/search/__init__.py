"""A search run: recording, searching, confirming, the end."""
