"""Production episodes from the command line: their config, their prompts, how they are played, what came of them."""
