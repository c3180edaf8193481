"""Gradients of learned regularisers with published weights: their cost, and their error against a reference."""
