"""Products, seconds and tape until learning has most of what it can gain."""
