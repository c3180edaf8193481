"""Learned weights against one hand-tuned weight for all bands, on each modality."""
