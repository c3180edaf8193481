"""A Krylov space of the adjoint equation that grows in between certificates."""

# pyright: reportConstantRedefinition=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor

from .._adjoint.adjoint_map import AdjointOperator
from .._adjoint.arnoldi import NOISE, component, divisor, least_squares, orthogonalise
from .._core.batch import from_rows, no_autocast, norm, norms, wide_rows

DRIFT = 1.5
"""A measured residual of at most this many times the claimed one confirms the recurrence."""


class AdjointSpace:
    """GMRES for ``(I − Jᵀ)u = v`` that can be continued: the tolerance need not be known when it starts.

    A certificate shows how small the residual has to be only once there is a gradient. A solve that is started again
    for it gives up its Krylov space, which costs as many products as a space needs to become useful.

    Attributes:
        T: the adjoint operator.
        residual: the norm of the residual over the whole batch, as the recurrence claims it.
        started: products that the start took.
        full: whether the space can grow no further: its memory is used, it is exhausted, or a product is not finite.
    """

    def __init__(self, T: AdjointOperator, u: Tensor | None, a: Tensor | None, memory: int) -> None:
        """Start at ``u``; at 0 for ``None``.

        Args:
            T: the adjoint operator.
            u: the start, of the shape of ``T.v``.
            a: ``Jᵀu``, if it is known; otherwise it costs a product.
            memory: maximal dimension of the space.
        """
        self.T, v = T, wide_rows(T.v)
        self.started = int(u is not None and a is None)
        self._u = torch.zeros_like(v) if u is None else wide_rows(u)
        r = v if u is None else wide_rows(T(u) if a is None else T.v + a) - self._u
        self._r_size = norms(r)[0]
        self._Q = r.new_empty(r.shape[0], memory + 1, r.shape[1])
        self._Q[:, 0] = r.double() / divisor(self._r_size, r.double())
        self._H = torch.zeros(len(r), memory + 1, memory, dtype=torch.float64)
        self._own = torch.zeros_like(self._H[..., 0])  # components of u along Q
        self._k = 0
        self._noise = NOISE * torch.finfo(r.dtype).eps
        self._weights = self._H[:, 0, :0]
        self._u_size = norms(self._u)[0] / torch.where(self._r_size > 0, self._r_size, 1)
        self.residual, self._scale = _total(self._r_size), norm(r + self._u)
        self.full = not self.residual > 0

    @property
    def point(self) -> Tensor:
        """The approximate adjoint with the smallest residual, of the shape of v."""
        if not self._k:
            return from_rows(self._u, self.T.v)
        Q = self._Q[:, : self._k]
        with no_autocast(Q):
            step = torch.bmm((self._weights * self._r_size[:, None]).to(Q)[:, None], Q)[:, 0]
        return from_rows(self._u + step, self.T.v)

    @property
    def relative(self) -> float:
        """``residual`` over ``‖v + Jᵀu‖``."""
        return self.residual / (self._scale or 1.0)

    def continues(self, u: Tensor | None, a: Tensor) -> bool:
        """Whether growing further helps ``u``, the present ``point``, given the product ``a = Jᵀu``."""
        return u is not None and not self.full and norm(self.T.v + a - u) <= DRIFT * self.residual

    def grow(self, residual: float, most: int) -> int:
        """Grow by at most ``most`` products, until the residual is at most ``residual``; return their number."""
        begin = self._k
        while self.residual > residual and not self.full and self._k - begin < most:
            k, Q = self._k, self._Q
            q = Q[:, k]
            self._own[:, k] = component(q, self._u, self._u_size, self._r_size)
            column = orthogonalise(Q, q - wide_rows(self.T.linear(from_rows(q, self.T.v))), k, self._noise)
            self._k = k + 1
            if not bool(column.isfinite().all()):
                self._k, self.full = k, True
                self._u, self._weights = self._u * torch.nan, self._weights[:, :k]
                return self._k - begin + 1
            self._H[:, : k + 2, k] = column
            self._own[:, k + 1] = component(Q[:, k + 1], self._u, self._u_size, self._r_size)
            c, left, size = least_squares(
                self._H[:, : k + 2, : k + 1], self._noise, self._own[:, : k + 2], self._u_size
            )
            self._weights = c
            self.residual, self._scale = _total(left * self._r_size), _total(size * self._r_size)
            self.full = self._k == self._H.shape[2] or not bool((column[:, -1] > 0).any())
        return self._k - begin


def _total(sizes: Tensor) -> float:
    """The norm of the whole batch; sizes may be out of the range in which squares are finite and positive."""
    if not len(sizes):
        return 0.0
    largest = float(sizes.max())
    return largest * float(torch.linalg.vector_norm(sizes / largest)) if largest > 0 else largest
