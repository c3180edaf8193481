"""A stand-in for pytest-benchmark's fixture."""

from __future__ import annotations

from types import SimpleNamespace


def pedantic_benchmark() -> SimpleNamespace:
    """What a timing asks of pytest-benchmark's fixture, without its statistics."""

    def pedantic(call, setup, rounds, iterations):
        for _ in range(rounds):
            setup()
            call()

    return SimpleNamespace(pedantic=pedantic, extra_info={})
