"""Shared by every other package: files, locks, errors, the terminal, provenance, random streams, argument checks."""
