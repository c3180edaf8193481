"""Executable claims: the bounds behind gradients at equilibrium, checked with computed constants."""
