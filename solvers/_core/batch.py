"""Batches as real matrices, one flattened sample a row, and their sizes in float64 whatever the dtype."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SMALL, LARGE = 2.0**-450, 2.0**450
"""Norms beyond these are taken again of the matrix brought near 1, for squares under- and overflow."""
LEAST = 2.0**-1074
"""The smallest number of float64."""
PART = 1 << 16
"""Entries that are brought to float64 at a time."""


def rows(x: Tensor) -> Tensor:
    """``x`` as a real ``(samples, entries)``; a one-dimensional ``x`` is one sample.

    A complex entry is two real ones: derivatives are linear over the reals alone, once a conjugate or a real part
    is in the map.
    """
    if x.is_complex():
        pairs = torch.view_as_real(x.resolve_conj())
        x = pairs.flatten(-2) if x.ndim else pairs
    return x.flatten(1) if x.ndim > 1 else x.reshape(1, x.numel())


def back(matrix: Tensor, like: Tensor) -> Tensor:
    """What ``rows`` made a matrix of: as ``like`` in all but the number of samples, which is that of the rows."""
    shape = (len(matrix), *like.shape[1:]) if like.ndim > 1 else like.shape
    if like.is_complex():
        return torch.view_as_complex(matrix.reshape(*shape, 2).contiguous()).to(like.dtype)
    return matrix.reshape(shape).to(like.dtype)


def wide(x: Tensor) -> Tensor:
    """``rows`` of x that sums can be made of: half precision becomes float32."""
    matrix = rows(x)
    return matrix.float() if matrix.dtype in (torch.float16, torch.bfloat16) else matrix


def outside(x: Tensor) -> torch.autocast:
    """The context that algebra on ``x`` runs in: no autocast, which would halve the precision of products."""
    return torch.autocast(x.device.type, enabled=False)


def norms(*matrices: Tensor) -> Tensor:
    """``‖row‖`` of each matrix, float64 ``(matrices, samples)`` on the CPU: one transfer for all.

    Squares neither underflow nor overflow, so that multiplying a matrix by a power of two multiplies them to the bit.
    """
    return looked(matrices)[0]


def norm(x: Tensor) -> float:
    """``‖x‖`` of all entries, in float64."""
    return float(norms(_all(x))[0, 0])


def inner(a: Tensor, b: Tensor) -> float:
    """The real inner product ``⟨a, b⟩`` of all entries, in float64."""
    return float(inners(_all(a), _all(b))[0])


def inners(a: Tensor, b: Tensor) -> Tensor:
    """``⟨row, row⟩`` of two real matrices, float64 ``(samples,)`` on the CPU; to the bit in powers of two, as norms."""
    return looked(pairs=[(a, b)])[1][0]


def looked(
    matrices: Sequence[Tensor] = (), pairs: Sequence[tuple[Tensor, Tensor]] = (), also: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """``norms`` of matrices and ``inners`` of pairs, in one transfer for all.

    Args:
        matrices, pairs: of the same samples.
        also: ``(any, samples)`` that is to come along.

    Returns:
        ``(matrices, samples)``, ``(pairs, samples)`` and ``(any, samples)``, float64 on the CPU.
    """
    parts = [*map(_norms, matrices), *(_inners(a, b, None, None) for a, b in pairs)]
    stacked = torch.stack(parts)
    found = (stacked if also is None else torch.cat([stacked, also.double()])).cpu()
    sizes, products = found[: len(matrices)], found[len(matrices) : len(parts)]
    doubtful = ~((sizes >= SMALL) & (sizes <= LARGE))  # a nan, an infinity, and a zero too
    if bool(doubtful.any()):
        again = torch.stack([_scaled_norms(m) for m in matrices]).cpu()
        sizes = torch.where(doubtful, again, sizes)
    if pairs:
        products = torch.stack([_certain(p, *pair) for p, pair in zip(products, pairs, strict=True)])
    return sizes, products, found[len(parts) :]


def _certain(found: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Inner products, taken again where squares may have under- or overflown."""
    doubtful = ~((found.abs() >= SMALL) & (found.abs() <= LARGE))
    if not bool(doubtful.any()):
        return found
    p, q = power(a), power(b)
    # One after the other: their product may be out of range where the inner product is not.
    near = _inners(a, b, p[:, None], q[:, None])
    again = near * p * q
    # What is out of range keeps its sign.
    again = torch.where((again == 0) & (near != 0), near.sign() * LEAST, again)
    return torch.where(doubtful, again.cpu(), found)


def power(matrix: Tensor) -> Tensor:
    """A power of two near the largest entry of each row, float64 ``(samples,)``; 1 where that is 0 or not finite."""
    if not matrix.shape[1]:
        return torch.ones(len(matrix), dtype=torch.float64, device=matrix.device)
    largest = matrix.abs().amax(1).double()
    # Not beyond what can be divided by: 2^-1074 has no inverse.
    there = (largest > 0) & largest.isfinite()
    exponent = torch.frexp(torch.where(there, largest, 1)).exponent.clamp(-1000, 1000)
    return torch.where(there, torch.ldexp(torch.ones_like(largest), exponent), 1)


def ratio(size: Tensor, scale: Tensor) -> Tensor:
    """``size / scale``, and 0 where both vanish."""
    return torch.where(size == 0, size, size / scale)


def _norms(matrix: Tensor, scale: Tensor | None = None) -> Tensor:
    parts = [torch.linalg.vector_norm(_scaled(part, scale), dim=1) for part in _parts(_real(matrix))]
    return parts[0] if len(parts) == 1 else torch.linalg.vector_norm(torch.stack(parts, 1), dim=1)


def _scaled_norms(matrix: Tensor) -> Tensor:
    scale = power(_real(matrix))
    return _norms(matrix, scale[:, None]) * scale


def _inners(a: Tensor, b: Tensor, p: Tensor | None, q: Tensor | None) -> Tensor:
    pairs = zip(_parts(a), _parts(b), strict=True)
    parts = [torch.linalg.vecdot(_scaled(left, p), _scaled(right, q)) for left, right in pairs]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


def _parts(matrix: Tensor) -> tuple[Tensor, ...]:
    """Columns, few enough that a float64 copy of them is cheap; all where none is needed."""
    if matrix.dtype == torch.float64 or matrix.shape[1] <= PART:
        return (matrix,)
    return matrix.split(PART, dim=1)


def _scaled(matrix: Tensor, scale: Tensor | None) -> Tensor:
    return matrix.double() if scale is None else matrix.double() / scale


def _real(matrix: Tensor) -> Tensor:
    return rows(matrix) if matrix.is_complex() else matrix


def _all(x: Tensor) -> Tensor:
    """``x`` as one real row."""
    return rows(x.reshape(x.numel()))
