"""The same seed on the same machine gives the same result, as far as the machine's operations do."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import torch

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
UNDETERMINED = re.compile(r"^(\S+) does not have a deterministic implementation")


@contextmanager
def deterministic() -> Generator[list[str]]:
    """Deterministic operations where torch has them; the names of those used that are not, in the end.

    Give it the whole life of a process: cuBLAS reads its workspace setting when it is first used.
    """
    os.environ.setdefault(WORKSPACE, ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    names: list[str] = []
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Meant for finding reads of memory that was never written; here it would cost a pass over every tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    show = warnings.showwarning

    def listen(message: Warning | str, *rest: object, **named: object) -> None:
        found = UNDETERMINED.match(str(message))
        if found is None:
            show(message, *rest, **named)  # pyright: ignore[reportArgumentType, reportCallIssue]
        elif found[1] not in names:
            names.append(found[1])

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", message=UNDETERMINED.pattern[1:])
            warnings.showwarning = listen
            yield names
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
