"""Executable claims: bounds on the error of gradients at equilibrium, checked with computed constants."""
