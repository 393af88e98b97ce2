"""Predicted against realised: the numbers and the picture."""
