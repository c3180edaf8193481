"""Batches as real matrices, one flattened sample a row, with norms and inner products in float64.

Norms and inner products neither underflow nor overflow, so multiplying a matrix by a power of two multiplies them to
the bit. That is what makes a solver invariant to the scale of its problem, and of the loss.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SMALL, LARGE = 2.0**-450, 2.0**450
"""Sizes outside this range are computed again from rescaled entries, because their squares may under- or overflow."""
SMALLEST = 2.0**-1074
"""The smallest positive number of float64."""
SPARSE = 0.75
"""Samples that have ended are skipped once at most this fraction of the batch is still active."""
CHUNK = 1 << 16
"""Columns converted to float64 at a time."""


def rows(x: Tensor) -> Tensor:
    """Return ``x`` as a real matrix ``(samples, entries)``; a one-dimensional ``x`` is one sample.

    A complex entry becomes two real ones: a map with a conjugate or a real part is linear over the reals alone.
    """
    if x.is_complex():
        pairs = torch.view_as_real(x.resolve_conj())
        x = pairs.flatten(-2) if x.ndim else pairs
    return x.flatten(1) if x.ndim > 1 else x.reshape(1, x.numel())


def from_rows(matrix: Tensor, like: Tensor) -> Tensor:
    """Invert ``rows``: return the shape and dtype of ``like``, with as many samples as ``matrix`` has rows."""
    shape = (len(matrix), *like.shape[1:]) if like.ndim > 1 else like.shape
    if like.is_complex():
        return torch.view_as_complex(matrix.reshape(*shape, 2).contiguous()).to(like.dtype)
    return matrix.reshape(shape).to(like.dtype)


def wide_rows(x: Tensor) -> Tensor:
    """Return ``rows(x)`` in at least float32, in which sums can be formed."""
    matrix = rows(x)
    return matrix.float() if matrix.dtype in (torch.float16, torch.bfloat16) else matrix


def no_autocast(x: Tensor) -> torch.autocast:
    """Disable autocast on the device of ``x``: it would halve the precision of the solver's own products."""
    return torch.autocast(x.device.type, enabled=False)


def norms(*matrices: Tensor) -> Tensor:
    """Return ``‖row‖`` of each matrix, float64 ``(matrices, samples)`` on the CPU, in one transfer."""
    return norms_and_inners(matrices)[0]


def norm(x: Tensor) -> float:
    """Return ``‖x‖`` over all entries."""
    return float(norms(_one_row(x))[0, 0])


def inner(a: Tensor, b: Tensor) -> float:
    """Return the real inner product ``⟨a, b⟩`` over all entries."""
    return float(inners(_one_row(a), _one_row(b))[0])


def inners(a: Tensor, b: Tensor) -> Tensor:
    """Return ``⟨row, row⟩`` of two real matrices, float64 ``(samples,)`` on the CPU."""
    return norms_and_inners(pairs=[(a, b)])[1][0]


def norms_and_inners(
    matrices: Sequence[Tensor] = (), pairs: Sequence[tuple[Tensor, Tensor]] = (), extra: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``norms`` of matrices, ``inners`` of pairs, and ``extra`` ``(any, samples)``, in one transfer.

    All three are float64 on the CPU, with the samples in dimension 1.
    """
    values = [*map(_norms, matrices), *(_inners(a, b) for a, b in pairs)]
    stacked = torch.stack(values)
    stacked = (stacked if extra is None else torch.cat([stacked, extra.double()])).cpu()
    sizes, products = stacked[: len(matrices)], stacked[len(matrices) : len(values)]
    doubtful = _out_of_range(sizes)
    if bool(doubtful.any()):
        sizes = torch.where(doubtful, torch.stack([_scaled_norms(m) for m in matrices]).cpu(), sizes)
    if pairs:
        products = torch.stack([_checked_inners(p, *pair) for p, pair in zip(products, pairs, strict=True)])
    return sizes, products, stacked[len(values) :]


def power_of_two(matrix: Tensor) -> Tensor:
    """Return a power of two near the largest entry of each row, float64 ``(samples,)``; 1 if it is 0 or not finite."""
    if not matrix.shape[1]:
        return torch.ones(len(matrix), dtype=torch.float64, device=matrix.device)
    largest = matrix.abs().amax(1).double()
    usable = (largest > 0) & largest.isfinite()
    # Clamped, because 2^-1074 has no inverse.
    exponent = torch.frexp(torch.where(usable, largest, 1)).exponent.clamp(-1000, 1000)
    return torch.where(usable, torch.ldexp(torch.ones_like(largest), exponent), 1)


def ratio(size: Tensor, scale: Tensor) -> Tensor:
    """Return ``size / scale``, and 0 if both vanish."""
    return torch.where(size == 0, size, size / scale)


def _out_of_range(values: Tensor) -> Tensor:
    """Whether a square may have under- or overflown; true of 0, nan and infinity as well."""
    return ~((values.abs() >= SMALL) & (values.abs() <= LARGE))


def _checked_inners(products: Tensor, a: Tensor, b: Tensor) -> Tensor:
    doubtful = _out_of_range(products)
    if not bool(doubtful.any()):
        return products
    p, q = power_of_two(a), power_of_two(b)
    scaled = _inners(a, b, p[:, None], q[:, None])
    # Multiply by one after the other: p q may be out of range though the inner product is not.
    result = scaled * p * q
    # An inner product that underflows keeps its sign, on which restarts of momentum depend.
    result = torch.where((result == 0) & (scaled != 0), scaled.sign() * SMALLEST, result)
    return torch.where(doubtful, result.cpu(), products)


def _norms(matrix: Tensor, scale: Tensor | None = None) -> Tensor:
    chunks = [torch.linalg.vector_norm(_scaled(c, scale), dim=1) for c in _chunks(matrix)]
    return chunks[0] if len(chunks) == 1 else torch.linalg.vector_norm(torch.stack(chunks, 1), dim=1)


def _scaled_norms(matrix: Tensor) -> Tensor:
    scale = power_of_two(matrix)
    return _norms(matrix, scale[:, None]) * scale


def _inners(a: Tensor, b: Tensor, p: Tensor | None = None, q: Tensor | None = None) -> Tensor:
    pairs = zip(_chunks(a), _chunks(b), strict=True)
    chunks = [torch.linalg.vecdot(_scaled(left, p), _scaled(right, q)) for left, right in pairs]
    return chunks[0] if len(chunks) == 1 else torch.stack(chunks).sum(0)


def _chunks(matrix: Tensor) -> tuple[Tensor, ...]:
    """Split columns, so that a float64 copy of a chunk is small; float64 needs no copy and is not split."""
    if matrix.dtype == torch.float64 or matrix.shape[1] <= CHUNK:
        return (matrix,)
    return matrix.split(CHUNK, dim=1)


def _scaled(matrix: Tensor, scale: Tensor | None) -> Tensor:
    return matrix.double() if scale is None else matrix.double() / scale


def _one_row(x: Tensor) -> Tensor:
    return rows(x.reshape(x.numel()))
