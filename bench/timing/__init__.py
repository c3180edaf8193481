"""Seconds of a training step, paired with a bare loop that does the same work (pytest-benchmark)."""

from .launch import measure_costs

__all__ = ["measure_costs"]
