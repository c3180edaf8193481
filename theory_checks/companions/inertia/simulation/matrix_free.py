"""The ends of the spectrum of ``K = A J Jᵀ Aᵀ`` of a network, by products alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import lobpcg
from torch import Tensor

Residual = Callable[[Tensor], Tensor]
"""θ ``(p,)`` to the residual ``(m,)``."""


@dataclass(frozen=True, slots=True)
class SpectrumEnds:
    """Ritz values: the largest is from below, the smallest from above.

    Attributes:
        largest, smallest: eigenvalues of K.
        largest_error, smallest_error: ``|K v − λ v|`` for unit v: an eigenvalue is that near.
    """

    largest: float
    smallest: float
    largest_error: float
    smallest_error: float


def product(residual: Residual, theta: Tensor) -> Callable[[Tensor], Tensor]:
    """``w ↦ (A J)(A J)ᵀ w``, shapes ``(m,)``: a pull-back to the parameters, and a push forward."""
    pull = torch.func.vjp(residual, theta)[1]

    def apply(w: Tensor) -> Tensor:
        (along,) = pull(w)
        return torch.func.jvp(residual, (theta,), (along,))[1]

    return apply


def spectrum_ends(residual: Residual, theta: Tensor, m: int, iterations: int, seed: int = 0) -> SpectrumEnds:
    """Both ends of the spectrum by LOBPCG with four vectors.

    Args:
        residual: of the fit; its derivative at theta is ``A J``.
        theta: shape ``(p,)``.
        m: measurements.
        iterations: of LOBPCG, at each end.
        seed: of the first vectors.
    """
    apply = product(residual, theta)

    def one(w: np.ndarray) -> np.ndarray:
        return apply(torch.as_tensor(w.ravel()).to(theta)).detach().cpu().numpy()

    def many(block: np.ndarray) -> np.ndarray:
        return np.stack([one(column) for column in block.T], 1)

    first = np.random.default_rng(seed).standard_normal((m, 4))
    found = []
    for largest in (True, False):
        with warnings.catch_warnings():
            # It warns where the tolerance was not met; the residual says so in numbers.
            warnings.simplefilter("ignore")
            values, vectors = lobpcg(many, first, largest=largest, maxiter=iterations, tol=1e-8)
        i = int(np.argmax(values) if largest else np.argmin(values))
        v = vectors[:, i] / np.linalg.norm(vectors[:, i])
        found += [float(values[i]), float(np.linalg.norm(one(v) - values[i] * v))]
    return SpectrumEnds(found[0], found[2], found[1], found[3])
