"""A run: which cells are missing, in which processes or on which machines they are measured, and in what time."""
