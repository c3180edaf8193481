"""Seconds and memory of a profile, from the records of runs."""
