"""One claim a file: the bound at several parameters, and PEPit's model of its worst case."""
