"""Certificates of gradients, measured on the real operators of the benchmark: ``python -m bench certificates``."""
