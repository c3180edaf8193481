"""Backward modes: what autograd differentiates at the point where a forward solver ended."""
