"""The certified store as a command: what is kept, and whether executing it beats quoting the past."""
