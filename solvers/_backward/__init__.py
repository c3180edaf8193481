"""Backward modes: how autograd differentiates at the point of the forward solver."""
