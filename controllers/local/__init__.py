"""Language models on this machine: a GGUF file, the child process that serves it, and the engine that asks it."""
