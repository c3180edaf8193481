"""Gradient descent on an exact objective, beside descent along estimated gradients."""
