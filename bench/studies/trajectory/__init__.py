"""Gradient descent with exact gradients, and descents with estimated ones."""
