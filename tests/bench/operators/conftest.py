"""Processes that have compiled nothing."""

from __future__ import annotations

import pytest
import torch

import bench.operators.compiled


@pytest.fixture
def clean(monkeypatch):
    """A process that has compiled nothing."""
    monkeypatch.setattr(bench.operators.compiled, "_FAILED", {})
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture
def traced(clean, monkeypatch):
    """Everything but the code generator, which takes its seconds."""
    monkeypatch.setattr(bench.operators.compiled, "BACKEND", "aot_eager")


@pytest.fixture
def read(clean, monkeypatch):
    """The bytecode alone is read, which decides what is compiled again."""
    monkeypatch.setattr(bench.operators.compiled, "BACKEND", "eager")
