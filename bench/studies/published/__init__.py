"""Gradients of learned regularisers with published weights: what the ways of the literature cost, and how exact they are."""
