"""Files, locks, errors, the terminal, provenance and random streams: what every other package may need."""
