"""Maps, losses and oracles for the checks."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._core.maps import Map
from .._core.results import Solution
from .._core.solver import Solver

Loss = Callable[[Tensor], Tensor]


def demand(condition: object, words: str) -> None:
    """Raise ``AssertionError`` unless ``condition`` holds; ``python -O`` does not remove it, as it does ``assert``."""
    if not condition:
        raise AssertionError(words)


def demand_close(estimate: Tensor, exact: Tensor, tolerance: float, words: str) -> None:
    """Demand a relative error of at most ``tolerance``; ``words`` is a format string for the error."""
    error = relative_error(estimate, exact)
    demand(error <= tolerance, words.format(error))


class Contraction(nn.Module):
    """``x -> s·tanh(Wx + Vθ + c)`` with a W that is not symmetric, ``L = ‖W‖₂·s = 0.63``; parameters θ, c and s."""

    W: Tensor
    V: Tensor

    def __init__(self, n: int = 6, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(20250616)
        W = torch.randn(n, n, generator=rng, dtype=torch.float64)
        self.register_buffer("W", (0.7 * W / torch.linalg.matrix_norm(W, 2)).to(dtype))
        self.register_buffer("V", torch.randn(n, 3, generator=rng, dtype=torch.float64).to(dtype))
        self.theta = nn.Parameter(torch.randn(3, generator=rng, dtype=torch.float64).to(dtype))
        self.c = nn.Parameter(torch.randn(n, generator=rng, dtype=torch.float64).to(dtype))
        self.s = nn.Parameter(torch.tensor(0.9, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """One application; the last dimension of ``x`` has n entries."""
        flat = x.reshape(-1, self.W.shape[0])
        return (self.s * torch.tanh(flat @ self.W.T + self.V @ self.theta + self.c)).view_as(x)


class SoftThreshold(nn.Module):
    """``x -> soft(x − (x − y), e^w)``: forward–backward with A = I and τ = 1; constant in x."""

    y: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("y", torch.tensor([[1.5, -0.8, 0.2, -2.0]], dtype=torch.float64))
        self.log_weights = nn.Parameter(torch.tensor([-0.5, -1.0, -0.7, 0.1], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """One application; ``x`` is ``(1, 4)``."""
        z = x - (x - self.y)
        return z.sign() * torch.relu(z.abs() - self.log_weights.exp())

    def derivative(self) -> Tensor:
        """Return ``∂x*ⱼ/∂wⱼ``: ``−e^w sign(y)`` where ``|y| > e^w``, else 0."""
        w = self.log_weights.detach().exp()
        return torch.where(self.y.abs() > w, -w * self.y.sign(), 0.0)[0]


class SampleBySample(nn.Module):
    """Independent samples ``xᵢ -> dᵢrᵢ·tanh(Wxᵢ/dᵢ + θᵢ)`` with W orthogonal; ``samples`` chooses among three.

    The smaller a sample, the slower it converges. A solver that stops on a norm of the whole batch does not move it.
    """

    W: Tensor
    size: Tensor
    rate: Tensor

    def __init__(self, *samples: int) -> None:
        super().__init__()
        W = torch.linalg.qr(Contraction().W)[0]
        which = list(samples)
        self.register_buffer("W", W)
        self.register_buffer("size", torch.tensor([1.0, 1e-4, 1e-8], dtype=W.dtype)[which, None])
        self.register_buffer("rate", torch.tensor([0.3, 0.6, 0.9], dtype=W.dtype)[which, None])
        self.theta = nn.Parameter(0.1 * start(3, 6).flip(1)[which])

    def forward(self, x: Tensor) -> Tensor:
        """One application; ``x`` is ``(samples, 6)``."""
        return self.size * self.rate * torch.tanh(x / self.size @ self.W.T + self.theta)

    def loss(self, x: Tensor) -> Tensor:
        """``½‖x − d‖²``, whose cotangent is as small as the sample."""
        return 0.5 * (x - self.size).square().sum()


class Complex(nn.Module):
    """A complex contraction, not holomorphic: ``x -> s·φ(Wx + V·conj(x) + θ)`` with ``φ(z) = z/√(1 + |z|²)``."""

    W: Tensor
    V: Tensor

    def __init__(self) -> None:
        super().__init__()
        base = Contraction()
        self.register_buffer("W", torch.complex(0.5 * base.W, 0.4 * base.W.T))
        self.register_buffer("V", torch.complex(-0.3 * base.W.T, 0.4 * base.W))
        self.theta = nn.Parameter(base.c.detach().clone())
        self.s = nn.Parameter(torch.tensor(0.9, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """One application; ``x`` is complex, ``(samples, 6)``."""
        z = x @ self.W.T + x.conj() @ self.V.T + self.theta
        return self.s * z / (1 + z.abs().square()).sqrt()


class RealPairs(nn.Module):
    """``Complex`` on real and imaginary parts, ``(samples, 6, 2)``."""

    def __init__(self, T: Complex) -> None:
        super().__init__()
        self.T = T

    def forward(self, x: Tensor) -> Tensor:
        """One application."""
        return torch.view_as_real(self.T(torch.view_as_complex(x.contiguous())))


def quadratic(x: Tensor) -> Tensor:
    """Return ``½‖x − t‖²`` with a fixed target t."""
    target = torch.linspace(-1, 2, x.numel(), dtype=x.dtype, device=x.device).view_as(x)
    return 0.5 * (x - target).square().sum()


def gradient_of(solver: Solver, T: nn.Module, x0: Tensor, loss: Loss = quadratic) -> tuple[Tensor, Solution]:
    """Return the gradient estimate in all parameters of ``T`` as one vector, and the solution."""
    T.zero_grad()
    solution = solver(T, x0, loss)
    loss(solution.x).backward()
    missing = [name for name, p in T.named_parameters() if p.grad is None]
    demand(not missing, f"no gradient reaches {', '.join(missing)}")
    return torch.cat([p.grad.flatten() for p in T.parameters() if p.grad is not None]), solution


def dense_oracle(T: nn.Module, x0: Tensor, loss: Loss = quadratic) -> Tensor:
    """Return ``Bᵀ(I − Jᵀ)⁻¹v`` by dense float64 algebra at the equilibrium."""
    with torch.no_grad():
        x = x0
        for _ in range(500):
            x = T(x)
    n = x.numel()
    jacobian: Tensor = torch.autograd.functional.jacobian(T, x).reshape(n, n)  # pyright: ignore
    (v,) = torch.autograd.grad(loss(leaf := x.clone().requires_grad_()), leaf)
    u = torch.linalg.solve(torch.eye(n, dtype=x.dtype) - jacobian.T, v.flatten())
    grads = torch.autograd.grad(T(x), list(T.parameters()), u.view_as(x))
    return torch.cat([g.flatten() for g in grads])


def relative_error(estimate: Tensor, exact: Tensor) -> float:
    """Return ``‖estimate − exact‖ / ‖exact‖``."""
    return float(torch.linalg.vector_norm(estimate - exact) / torch.linalg.vector_norm(exact))


@dataclass(slots=True)
class CountedMap:
    """A map that counts its applications and vector-Jacobian products."""

    T: Map
    applications: int = 0
    vjps: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        self.applications += 1
        y = self.T(x)
        if not y.requires_grad:
            return y
        y = y.view_as(y)  # a node of its own, that runs once for every product
        assert y.grad_fn is not None
        y.grad_fn.register_prehook(self._count)
        return y

    def _count(self, cotangents: tuple[Tensor, ...]) -> None:
        self.vjps += 1


def start(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return a start of any shape, with entries evenly from −1 to 1."""
    return torch.linspace(-1, 1, math.prod(shape), dtype=dtype).view(shape)
