"""Harvest: what production's episodes say is wrong, and which new tasks they bring for the next search."""
