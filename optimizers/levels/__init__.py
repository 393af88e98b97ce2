"""Levels: worker, controller and search as loops of one kind, and the search's own settings searched one level up."""
