"""Linear inverse problems ``y = A x̄ + ε`` with a prescribed spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .activations import F64


@dataclass(frozen=True, slots=True)
class Problem:
    """A linear inverse problem with known truth.

    Attributes:
        A: the operator, shape ``(m, n)``.
        y: the measurements, shape ``(m,)``.
        truth: x̄, shape ``(n,)``.
        noise: ε = y − A x̄, shape ``(m,)``.
    """

    A: Tensor
    y: Tensor
    truth: Tensor
    noise: Tensor


def generator(seed: int) -> torch.Generator:
    """A random generator on the CPU, so that a seed is the same problem on every device."""
    return torch.Generator().manual_seed(seed)


def rotation(n: int, source: torch.Generator) -> Tensor:
    """An orthogonal matrix, shape ``(n, n)``, float64."""
    return torch.linalg.qr(torch.randn(n, n, generator=source, dtype=F64))[0]


def spread(n: int, smallest: float) -> Tensor:
    """Singular values from 1 to ``smallest`` in equal ratios, shape ``(n,)``."""
    return torch.logspace(0, float(torch.tensor(smallest, dtype=F64).log10()), n, dtype=F64)


def gap(n: int, smallest: float, rest: float = 0.3) -> Tensor:
    """Singular values from 1 to ``rest``, then ``smallest`` alone: the slow mode is isolated. Shape ``(n,)``."""
    return torch.cat([spread(n - 1, rest), torch.tensor([smallest], dtype=F64)])


def problem(singular: Tensor, seed: int, device: str = "cpu", noise: float = 0.0) -> Problem:
    """``A = U diag(S) Qᵀ`` with random orthogonal U and Q, and a standard normal x̄.

    Args:
        singular: S, shape ``(n,)``; zeros make A rank-deficient, and then ε is kept in its range.
        seed: of U, Q, x̄ and ε.
        device: device of the tensors.
        noise: the norm ``|ε|``, to which ε is scaled.
    """
    n, source = len(singular), generator(seed)
    U, Q = rotation(n, source), rotation(n, source)
    A = U * singular @ Q.T
    truth = torch.randn(n, generator=source, dtype=F64)
    raw = U * (singular > 0) @ torch.randn(n, generator=source, dtype=F64)
    epsilon = noise * raw / raw.norm()
    return Problem(*(t.to(device) for t in (A, A @ truth + epsilon, truth, epsilon)))
