"""A run: find the missing cells, and measure them in processes or on a cluster, within a time if one is given."""
