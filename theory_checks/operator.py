"""Bring your own operator: a user's contraction, put through the claims that apply to it.

A file of yours holds a function without arguments that returns an ``Operator``::

    from theory_checks.operator import Operator

    def mine() -> Operator:
        return Operator(step=MyStep().double(), x0=torch.zeros(1, 1, 16, 16, dtype=torch.float64), L=0.95)

and ``python -m theory_checks verify --operator ./file.py:mine`` runs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.own import look_up, told
from solvers import Picard, deq, restarted_jfb

from .cases import Case, Loss, Parametric, normal
from .certificates import known
from .claims import ROSTER
from .claims.c26_audit import Offered
from .detectors import jacobian_norm, outside, refuted, settled
from .expansion import REMEDY, expansion
from .verify import holds, ratio

ROUNDING = 1e-9
"""What of ``1 − L`` is rounding."""
LARGEST = 2048
"""Unknowns: the claims work with dense Jacobians."""

ARGUMENTS: dict[str, tuple[object, ...]] = {
    "C1": (deq(1e-12, 500),),
    "C2": (3,),
    "C3": (5, 2),
    "C4": (10,),
    "C18": (4, 2),
    "C19": (0.7, 1, -6, deq(1e-3)),
    "C21": (4,),
}
"""Claims that need no constant but L, and the depths at which they are checked."""
WITH_CURVATURE: dict[str, tuple[object, ...]] = {
    "C6": (5, 2),
    "C7": (5, 1),
    "C8": (Picard(1e-2, 3000), Picard(1e-2, 3000)),
}
"""Claims that also need ``M_J`` and ``M_B``."""
WITH_REGULARITY: dict[str, tuple[object, ...]] = {
    "C13": (deq(1e-2),),
    "C24": (restarted_jfb(5, 2), 20),
    "C26": (Offered(restarted_jfb(5, 2), 1.0, 0.0, 0), 0.5, 2000),
    "C27": (1e-2, 2000),
}
"""Claims that need those, or what a map says of its own derivatives: see ``solvers.Regular``."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A step ``x -> T(x)``, where it starts, and the constants its author knows.

    Attributes:
        step: a module; its parameters are what is learned. Float64.
        x0: the start; any shape, at most ``LARGEST`` entries. Float64.
        L: a Lipschitz constant of the step in x (2-norm), valid everywhere; ``None`` if unknown.
        M_J, M_B: Lipschitz constants in x of its derivatives in x and in the parameters; ``None`` if unknown.
    """

    step: nn.Module
    x0: Tensor
    L: float | None = None
    M_J: float | None = None
    M_B: float | None = None


class Flat(Parametric):
    """A step on flat vectors, its parameters in one vector ``theta``."""

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        # Not registered as a submodule: its parameters are read through theta alone.
        self.step = [operator.step]
        self.shape = operator.x0.shape
        self.names = [(name, p.shape) for name, p in operator.step.named_parameters()]
        flat = torch.cat([p.detach().flatten() for p in operator.step.parameters()])
        self.theta = nn.Parameter(flat.clone())

    def forward(self, x: Tensor) -> Tensor:
        """One application to a flat vector."""
        parts = self.theta.split([math.prod(shape) for _, shape in self.names])
        given = {name: part.view(shape) for (name, shape), part in zip(self.names, parts, strict=True)}
        return torch.func.functional_call(self.step[0], given, (x.view(self.shape),)).flatten()


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim on an operator.

    Attributes:
        claim: which; of what: the operator, as the user or the benchmark calls it.
        L: the constant used, and whether it is ``known`` or an ``estimate`` (a lower bound at the equilibrium).
        verdict: ``holds``, ``FAILS``, ``assumption not met`` or ``not applicable``.
        ratio: left over right side, or the relative deviation of an equality; nan where nothing was compared.
        reason: why not, in a line.
    """

    claim: str
    of: str
    L: float
    rigour: str
    verdict: str
    ratio: float
    reason: str = ""


def load(text: str) -> Operator:
    """The operator of ``./file.py:factory``.

    Raises:
        UserError: there is no such file or factory, it raises, or what it returns cannot be checked.
    """
    path, colon, name = text.rpartition(":")
    if not colon or not path or not name.isidentifier():
        raise UserError(f"--operator {text}: write ./file.py:factory")
    try:
        source, make = look_up(path, name)
    except UserError as error:
        raise UserError(f"--operator {text}: {error}") from error
    try:
        made = make()
    except Exception as error:
        raise UserError(f"--operator {text}: {name}() raises {told(error, (source,))}") from error
    return validated(made, text)


def validated(made: object, text: str) -> Operator:
    """``made``, if it is an operator that can be checked; otherwise a ``UserError`` that says what to change."""
    if not isinstance(made, Operator):
        raise UserError(
            f"--operator {text}: it returns {type(made).__name__}, not theory_checks.operator.Operator"
        )
    if not isinstance(made.step, nn.Module):
        raise UserError(f"--operator {text}: step is no torch.nn.Module, so its parameters cannot be found")
    if not list(made.step.parameters()):
        raise UserError(f"--operator {text}: the step has no parameters: there is nothing to learn")
    if not isinstance(made.x0, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UserError(f"--operator {text}: x0 is {type(made.x0).__name__}, not a tensor")
    for name in ("L", "M_J", "M_B"):
        value = getattr(made, name)
        if value is not None and (
            not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0
        ):
            raise UserError(
                f"--operator {text}: {name} must be a number of at least 0, or None, not {value!r}"
            )
    tensors = {"x0": made.x0, **dict(made.step.named_parameters())}
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float64:
            raise UserError(
                f"--operator {text}: {name} is {tensor.dtype}; claims are checked in float64: use .double()"
            )
    for name, tensor in tensors.items():
        if not tensor.numel() or not bool(tensor.isfinite().all()):
            raise UserError(
                f"--operator {text}: {name} is empty or not finite everywhere: there is nothing to check"
            )
    if made.x0.numel() > LARGEST:
        raise UserError(
            f"--operator {text}: x0 has {made.x0.numel()} entries, more than {LARGEST}: use a smaller crop"
        )
    try:
        with torch.no_grad():
            y = made.step(made.x0)
    except Exception as error:
        raise UserError(f"--operator {text}: step(x0) raises {told(error, ())}") from error
    if isinstance(y, Tensor) and y.shape == made.x0.shape and not bool(y.isfinite().all()):
        bad = int((~y.isfinite()).sum())
        raise UserError(
            f"--operator {text}: step(x0) has {bad} of {y.numel()} entries that are not finite: start elsewhere"
        )
    if not isinstance(y, Tensor) or y.shape != made.x0.shape or y.dtype != made.x0.dtype:
        found = f"{tuple(y.shape)} of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise UserError(
            f"--operator {text}: step(x0) is {found}, x0 is {tuple(made.x0.shape)}: keep shape and dtype"
        )
    return made


def case_of(operator: Operator, name: str) -> tuple[Case, str]:
    """The operator as a case, and how rigorous its L is: ``known``, or an ``estimate`` at where it settles."""
    T = Flat(operator)
    n = operator.x0.numel()
    loss = Loss(normal(3, n), 1.0, torch.zeros(len(T.theta), n, dtype=torch.float64))
    inf = math.inf
    M_J, M_B = (inf if m is None else m for m in (operator.M_J, operator.M_B))
    case = Case(name, T, operator.x0.detach().flatten(), loss, operator.L or 0.0, M_J, M_B)
    if operator.L is not None:
        return case, "known"
    L = jacobian_norm(T, settled(T, case.x0), 200).value
    return Case(name, T, case.x0, loss, L, M_J, M_B), "estimate"


def examine(
    case: Case, rigour: str, claims: tuple[str, ...] = (*ARGUMENTS, *WITH_CURVATURE, *WITH_REGULARITY)
) -> list[Finding]:
    """Those of ``claims`` that apply, on a case; the assumptions are checked first."""
    curvature = WITH_CURVATURE if all(math.isfinite(m) for m in (case.M_J, case.M_B)) else {}
    regularity = WITH_REGULARITY if known(case).regularity() is not None else {}
    names = {n: a for n, a in (ARGUMENTS | curvature | regularity).items() if n in claims}
    verdict = "assumption not met"
    if not case.L < 1 - ROUNDING:
        reason = f"L = {case.L:.4g} ({rigour}) is not below 1: {REMEDY}"
    elif isinstance(case.T, Flat):
        seen = expansion(case.T, case.x0)
        reason = seen.above(case.L) if rigour == "known" else seen.at_all()
        if rigour == "known":
            # Whoever states L < 1 states what may be seen to be false; mere signs count for nothing then.
            verdict = "FAILS"
        elif reason is None:
            reason = outside(case.T, case.x0)
    else:
        reason = refuted(case.T, settled(case.T, case.x0))
        if reason is not None:
            verdict, reason = "FAILS", f"L = {case.L:.4g} is stated, but {reason}"
    found = []
    for name, arguments in names.items():
        if reason is not None:
            found.append(Finding(name, case.name, case.L, rigour, verdict, math.nan, reason))
            continue
        try:
            sides = ROSTER[name].sides(case, *arguments)
        except ArithmeticError as error:
            # No equilibrium was found: impossible where L < 1 is known.
            wrong = "FAILS" if rigour == "known" else "assumption not met"
            found.append(Finding(name, case.name, case.L, rigour, wrong, math.nan, str(error)))
            continue
        good = "holds" if holds(sides, ROSTER[name].rounding) else "FAILS"
        why = "" if good == "holds" else f"{sides.lhs:.6g} > {sides.rhs:.6g}"
        found.append(Finding(name, case.name, case.L, rigour, good, ratio(sides, ROSTER[name].rounding), why))
    found += [
        Finding(n, case.name, case.L, rigour, "not applicable", math.nan, "M_J or M_B is not known")
        for n in (*WITH_CURVATURE, *WITH_REGULARITY)
        if n in claims and n not in names
    ]
    return found
