"""Benchmarks: adapters of tasks, worker, checkers and judge. The file name is the id, each exports one class."""
