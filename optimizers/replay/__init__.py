"""Replay: what a candidate would have done on recorded attempts, with no live one."""
