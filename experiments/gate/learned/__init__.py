"""Learning across runs: the stream of Gate B, and what each part adds."""
