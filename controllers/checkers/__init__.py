"""Checkers: deployable verifiers, one objective each. The file name says what is checked."""
