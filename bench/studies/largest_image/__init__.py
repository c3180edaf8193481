"""The largest image whose training step fits in memory, for each task and solver."""
