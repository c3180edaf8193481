"""Deterministic torch operations, so that a seed gives the same result every time on one machine."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import torch

UNDETERMINED = re.compile(r"^(\S+) does not have a deterministic implementation")


@contextmanager
def deterministic() -> Generator[list[str]]:
    """Use deterministic operations if torch has them; yields a growing list of the names of those used that it lacks.

    Enter it once for the whole life of a process: cuBLAS reads its workspace setting at its first use.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    names: list[str] = []
    torch.use_deterministic_algorithms(True, warn_only=True)
    # The fill finds reads of uninitialised memory; here it would only cost a pass over every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    show = warnings.showwarning

    def collect(message: Warning | str, *rest: object, **keywords: object) -> None:
        match = UNDETERMINED.match(str(message))
        if match is None:
            show(message, *rest, **keywords)  # pyright: ignore[reportArgumentType, reportCallIssue]
        elif match[1] not in names:
            names.append(match[1])

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", message=UNDETERMINED.pattern[1:])
            warnings.showwarning = collect
            yield names
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
