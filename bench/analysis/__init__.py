"""Pure functions of records: the tidy table, means over seeds, fronts, exponents and recommendations."""
