"""Predictions of the time and memory of a run, from records of earlier ones."""
