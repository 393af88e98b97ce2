"""Strategy programs: a whole controller written in a small, bounded part of Python, run in a child process."""
