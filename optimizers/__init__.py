"""Many episodes: evaluating, replaying and searching controllers, and what is kept of it."""
