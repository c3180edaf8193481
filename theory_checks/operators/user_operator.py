"""A user's own operator, as a case for the claims.

Write a file with a function without arguments that returns a ``UserOperator``::

    from theory_checks.operators import UserOperator

    def mine() -> UserOperator:
        return UserOperator(step=MyStep().double(), x0=torch.zeros(1, 1, 16, 16, dtype=torch.float64), L=0.95)

and check it with ``python -m theory_checks verify --operator ./file.py:mine``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.config.user_files import error_text, load_name
from bench.utils.errors import UserError

from ..instances import Case, ParametricMap, QuadraticLoss, standard_normal
from ..instances.diagnostics import jacobian_norm, settled_point

LARGEST = 2048
"""Largest number of unknowns: the claims work with dense Jacobians."""


@dataclass(frozen=True, slots=True)
class UserOperator:
    """A step ``x -> T(x)``, its start, and the constants that its author knows.

    Attributes:
        step: a float64 module; its parameters are the ones that are learned.
        x0: the start, float64, of any shape with at most ``LARGEST`` entries.
        L: Lipschitz constant of the step in x (2-norm), valid everywhere; ``None`` if unknown.
        M_J, M_B: Lipschitz constants in x of its derivatives in x and in the parameters; ``None`` if unknown.
    """

    step: nn.Module
    x0: Tensor
    L: float | None = None
    M_J: float | None = None
    M_B: float | None = None


class FlattenedOperator(ParametricMap):
    """A step on flat states, with all its parameters in one vector ``theta``."""

    def __init__(self, operator: UserOperator) -> None:
        super().__init__()
        # In a list, so that it is not registered as a submodule: its parameters are read through theta alone.
        self.step = [operator.step]
        self.shape = operator.x0.shape
        self.names = [(name, p.shape) for name, p in operator.step.named_parameters()]
        flat = torch.cat([p.detach().flatten() for p in operator.step.parameters()])
        self.theta = nn.Parameter(flat.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Apply the step once; x has shape ``(n,)``."""
        parts = self.theta.split([math.prod(shape) for _, shape in self.names])
        parameters = {name: part.view(shape) for (name, shape), part in zip(self.names, parts, strict=True)}
        return torch.func.functional_call(self.step[0], parameters, (x.view(self.shape),)).flatten()


def load_operator(text: str) -> UserOperator:
    """Load the operator that ``./file.py:factory`` returns.

    Raises:
        UserError: there is no such file or factory, it raises, or its result cannot be checked.
    """
    path, colon, name = text.rpartition(":")
    if not colon or not path or not name.isidentifier():
        raise UserError(f"--operator {text}: write ./file.py:factory")
    try:
        source, factory = load_name(path, name)
    except UserError as error:
        raise UserError(f"--operator {text}: {error}") from error
    try:
        operator = factory()
    except Exception as error:
        raise UserError(f"--operator {text}: {name}() raises {error_text(error, (source,))}") from error
    return validate_operator(operator, text)


def validate_operator(operator: object, text: str) -> UserOperator:
    """Return ``operator`` if it can be checked.

    Args:
        operator: any object.
        text: the call that returned it, for messages.

    Raises:
        UserError: it cannot be checked; the message says what to change.
    """
    refuse = f"--operator {text}:"
    if not isinstance(operator, UserOperator):
        raise UserError(
            f"{refuse} it returns {type(operator).__name__}, not theory_checks.operators.UserOperator"
        )
    if not isinstance(operator.step, nn.Module):
        raise UserError(f"{refuse} step is no torch.nn.Module, so its parameters cannot be found")
    if not list(operator.step.parameters()):
        raise UserError(f"{refuse} the step has no parameters: there is nothing to learn")
    if not isinstance(operator.x0, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UserError(f"{refuse} x0 is {type(operator.x0).__name__}, not a tensor")
    for name in ("L", "M_J", "M_B"):
        value = getattr(operator, name)
        if value is not None and (
            not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0
        ):
            raise UserError(f"{refuse} {name} must be a number of at least 0, or None, not {value!r}")
    tensors = {"x0": operator.x0, **dict(operator.step.named_parameters())}
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float64:
            raise UserError(
                f"{refuse} {name} is {tensor.dtype}; claims are checked in float64: use .double()"
            )
    for name, tensor in tensors.items():
        if not tensor.numel() or not bool(tensor.isfinite().all()):
            raise UserError(f"{refuse} {name} is empty or not finite everywhere: there is nothing to check")
    if operator.x0.numel() > LARGEST:
        raise UserError(
            f"{refuse} x0 has {operator.x0.numel()} entries, more than {LARGEST}: use a smaller crop"
        )
    _validate_step(operator, refuse)
    return operator


def _validate_step(operator: UserOperator, refuse: str) -> None:
    x0 = operator.x0
    try:
        with torch.no_grad():
            y = operator.step(x0)
    except Exception as error:
        raise UserError(f"{refuse} step(x0) raises {error_text(error, ())}") from error
    if not isinstance(y, Tensor) or y.shape != x0.shape or y.dtype != x0.dtype:
        result = f"{tuple(y.shape)} of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise UserError(f"{refuse} step(x0) is {result}, x0 is {tuple(x0.shape)}: keep shape and dtype")
    if not bool(y.isfinite().all()):
        bad = int((~y.isfinite()).sum())
        raise UserError(
            f"{refuse} step(x0) has {bad} of {y.numel()} entries that are not finite: start elsewhere"
        )


def operator_case(operator: UserOperator, name: str) -> tuple[Case, str]:
    """The operator as a case, and how its L is known.

    Returns:
        The case, and ``known``; or ``estimate`` if no L was stated. Then L is the norm of the Jacobian at the point
        where the iteration ends, a lower bound.
    """
    T = FlattenedOperator(operator)
    x0 = operator.x0.detach().flatten()
    coupling = torch.zeros(len(T.theta), len(x0), dtype=torch.float64)
    loss = QuadraticLoss(standard_normal(3, len(x0)), 1.0, coupling)
    M_J, M_B = (math.inf if m is None else m for m in (operator.M_J, operator.M_B))
    if operator.L is not None:
        return Case(name, T, x0, loss, operator.L, M_J, M_B), "known"
    L = jacobian_norm(T, settled_point(T, x0), 200).value
    return Case(name, T, x0, loss, L, M_J, M_B), "estimate"
