"""The parts of the reward model: what it reads, how it learns, how far it can be trusted."""
