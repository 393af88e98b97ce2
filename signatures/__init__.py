"""The words: records, errors, digests and the DSPy signatures. Imports nothing of ours."""
