"""The extreme eigenvalues of ``K = A J Jᵀ Aᵀ`` of a network, from products with K alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import lobpcg
from torch import Tensor

Residual = Callable[[Tensor], Tensor]
"""Maps θ ``(p,)`` to the residual ``(m,)``."""


@dataclass(frozen=True, slots=True)
class SpectrumEnds:
    """Ritz values: a lower bound on the largest eigenvalue, an upper bound on the smallest.

    Attributes:
        largest, smallest: estimated eigenvalues of K.
        largest_error, smallest_error: ``|K v − λ v|`` for unit v; K has an eigenvalue within that distance.
    """

    largest: float
    smallest: float
    largest_error: float
    smallest_error: float


def product(residual: Residual, theta: Tensor) -> Callable[[Tensor], Tensor]:
    """The map ``w ↦ (A J)(A J)ᵀ w``, shapes ``(m,)``: a vector–Jacobian, then a Jacobian–vector product."""
    vjp = torch.func.vjp(residual, theta)[1]

    def apply(w: Tensor) -> Tensor:
        (gradient,) = vjp(w)
        return torch.func.jvp(residual, (theta,), (gradient,))[1]

    return apply


def spectrum_ends(residual: Residual, theta: Tensor, m: int, iterations: int, seed: int = 0) -> SpectrumEnds:
    """The largest and the smallest eigenvalue by LOBPCG with four vectors.

    Args:
        residual: residual of the fit; its derivative at theta is ``A J``.
        theta: parameters, shape ``(p,)``.
        m: number of measurements.
        iterations: iterations of LOBPCG for each of the two.
        seed: seed of the initial vectors.
    """
    apply = product(residual, theta)

    def one(w: np.ndarray) -> np.ndarray:
        return apply(torch.as_tensor(w.ravel()).to(theta)).detach().cpu().numpy()

    def many(block: np.ndarray) -> np.ndarray:
        return np.stack([one(column) for column in block.T], 1)

    first = np.random.default_rng(seed).standard_normal((m, 4))
    pairs = []
    for largest in (True, False):
        with warnings.catch_warnings():
            # LOBPCG warns if it misses its tolerance; the returned residual norms tell by how much.
            warnings.simplefilter("ignore")
            values, vectors = lobpcg(many, first, largest=largest, maxiter=iterations, tol=1e-8)
        i = int(np.argmax(values) if largest else np.argmin(values))
        v = vectors[:, i] / np.linalg.norm(vectors[:, i])
        pairs.append((float(values[i]), float(np.linalg.norm(one(v) - values[i] * v))))
    (largest_value, largest_error), (smallest_value, smallest_error) = pairs
    return SpectrumEnds(largest_value, smallest_value, largest_error, smallest_error)
