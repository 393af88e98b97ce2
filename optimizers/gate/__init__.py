"""Gates: from paired results to a decision with its reasons. What a gate has not shown is not promoted.

pairs -> evidence per objective (`evidence.py`) -> one decision for all (`decide.py`). The holdout is read through
`holdout.py` alone, after what will be decided was written down (`registration.py`).
"""
