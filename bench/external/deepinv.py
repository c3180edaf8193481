"""deepinv's iterations, as deep equilibrium, Jacobian-free or unfolded, with the benchmark's physics, step and prox.

``PGD`` for forward–backward, half-quadratic splitting, and Douglas–Rachford with relaxation 2α for ``T_α``.

The calls raise ``UserError`` if a value is out of range.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from deepinv.optim import L2, PGD, AndersonAccelerationConfig, BaseOptim, DEQConfig, Prior
from deepinv.optim.optim_iterators import DRSIteration, HQSIteration
from deepinv.physics import LinearPhysics
from torch import Tensor

from solvers import Loss, Map

from .. import operators
from ..operators import (
    BoundOperator,
    DouglasRachford,
    ForwardBackward,
    HalfQuadratic,
    Operator,
    Splitting,
    forward_backward,
)
from ..operators.counts import WeightedNormal
from ..operators.douglas_rachford import DouglasRachfordSplitting
from ..operators.forward_backward import ForwardBackwardSplitting
from ..operators.half_quadratic import HalfQuadraticSplitting
from ..penalties import Penalty, WeightedPenalty
from ..utils.arguments import real, switch, whole
from ..utils.errors import UserError
from .base import CallCounter, ExternalSolution, installed, shortest_call

Mixing: TypeAlias = tuple[int, float, float]
"""Anderson acceleration: number of mixed iterates, damping, and absolute regularisation."""


@dataclass(frozen=True, slots=True)
class DeepInverse:
    """``PGD(..., unfold=True)`` with or without ``DEQ=DEQConfig(...)``, built for each call in 0.3 ms.

    PGD never calls T: it takes the physics, the step and the prox of T, and its own iteration equals T up to rounding.
    Applications are counted at the calls of the prox. On another splitting deepinv's iteration of it takes the place of
    PGD's, with the same settings.

    Attributes:
        max_iter, backward: largest numbers of forward and adjoint iterations; a ``backward`` of 0 is Jacobian-free, and
            ``None`` backpropagates through all.
        thres: ``thres_conv``, relative; it stops the adjoint iteration, and with ``early_stop`` the forward one.
        early_stop: whether the forward iteration may stop early.
        mixing, mixing_backward: Anderson acceleration of the two iterations; ``None`` for plain iteration.
    """

    label: str = field(compare=False)
    max_iter: int
    backward: int | None
    thres: float = 1e-5
    early_stop: bool = False
    mixing: Mixing | None = None
    mixing_backward: Mixing | None = None

    @property
    def composition(self) -> str:
        """deepinv with its version, and every setting."""
        return f"{installed('deepinv')}: PGD({', '.join(f'{k}={v!r}' for k, v in self._settings().items())})"

    @staticmethod
    def admits(
        operator: Operator | operators.Prior,
        splitting: Splitting = forward_backward(),  # noqa: B008 (frozen)
    ) -> bool:
        """Whether deepinv has its iteration: on images, with a weighted penalty, and a step that is not learned."""
        if isinstance(operator, Penalty):
            known = ForwardBackwardSplitting | DouglasRachfordSplitting | HalfQuadraticSplitting
            return isinstance(splitting, known) and not operator.union and not operator.coupled
        return (
            isinstance(operator, ForwardBackward | DouglasRachford | HalfQuadratic)
            and isinstance(operator.prior, WeightedPenalty)
            and not operator.step().requires_grad
        )

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> ExternalSolution:
        """Solve ``x = T(x)`` from states ``x0`` ``(B, C, H, W)``. Raises ``UserError`` if deepinv cannot run on T."""
        if not (isinstance(T, BoundOperator) and self.admits(T.operator)):
            raise UserError(
                f"{self.label} runs on forward–backward, Douglas–Rachford and half-quadratic operators with a weighted "
                "penalty of images: leave it out for this task"
            )
        if isinstance(T.data.normal, WeightedNormal):
            raise UserError(f"{self.label} has no weighted least squares: leave it out for counts")
        counter = CallCounter(self.max_iter if self.backward is None else 1)
        algorithm = self._algorithm(T.operator, counter)
        return counter.solution(algorithm(T.y, T.physics, init=x0.detach()))

    def _algorithm(self, operator: Operator, counter: CallCounter) -> BaseOptim:
        """deepinv's own iteration of the operator, with its physics still to be given."""
        assert isinstance(operator, ForwardBackward | DouglasRachford | HalfQuadratic)
        prior = CountedProx(operator.prior, counter)
        # In a list: a number would become a float32 parameter, and deepinv would iterate over a tensor.
        step = [operator.step()]
        if isinstance(operator, ForwardBackward):
            return PGD(
                data_fidelity=L2(),
                prior=prior,
                stepsize=step,  # pyright: ignore[reportArgumentType]
                lambda_reg=1.0,
                cost_fn=_no_cost,  # pyright: ignore[reportArgumentType]
                unfold=True,
                trainable_params=[],
                **self._settings(),  # pyright: ignore[reportArgumentType]
            )
        relaxed = isinstance(operator, DouglasRachford)
        parameters: dict[str, object] = {"lambda": 1.0, "stepsize": step, "g_param": None}
        return BaseOptim(
            DouglasRachfordOnState(cost_fn=_no_cost) if relaxed else HQSIteration(cost_fn=_no_cost),
            data_fidelity=RidgedL2(operator.ridge),
            prior=prior,
            params_algo=parameters | ({"beta": operator.gain} if relaxed else {}),  # pyright: ignore[reportArgumentType]
            unfold=True,
            trainable_params=[],
            **self._settings(),  # pyright: ignore[reportArgumentType]
        )

    def _settings(self) -> dict[str, object]:
        """Keyword arguments of ``PGD``, and of every other algorithm."""
        settings: dict[str, object] = {
            "max_iter": self.max_iter,
            "thres_conv": self.thres,
            "early_stop": self.early_stop,
        }
        if self.mixing is not None:
            settings["anderson_acceleration"] = AndersonAccelerationConfig(*self.mixing)
        if self.backward == 0:
            settings["DEQ"] = DEQConfig(jacobian_free=True)
        elif self.backward is not None and self.mixing_backward is not None:
            settings["DEQ"] = DEQConfig(False, True, *self.mixing_backward, self.backward)
        elif self.backward is not None:
            settings["DEQ"] = DEQConfig(max_iter_backward=self.backward)
        return settings


def _no_cost(*_: object) -> None:
    """Anderson acceleration evaluates the objective at every iteration and never uses it."""


class DouglasRachfordOnState(DRSIteration):
    """deepinv's Douglas–Rachford iteration as a map of its state z alone.

    deepinv's ``DRS`` is a map of ``(x, z)``, and its deep equilibrium, Jacobian-free gradients and Anderson
    acceleration act on the first of them. That is ``x = prox_{γg}(…)``, which the next iteration does not read.
    """

    def forward(self, X: dict[str, tuple[Tensor, ...]], *arguments: object) -> dict[str, object]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``z`` to ``z + β (prox_{γg}(2u − z) − u)`` with ``u = prox_{γf}(z)``."""
        (z,) = X["est"]
        found = super().forward({"est": (z, z)}, *arguments)  # pyright: ignore
        return {"est": (found["est"][1],), "cost": None}


class RidgedL2(L2):
    """``½‖Ax − y‖² + ε/2 ‖x − ½‖²``, by deepinv's own prox of the first term."""

    def __init__(self, ridge: float) -> None:
        super().__init__()
        self._ridge = ridge

    def prox(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, gamma: Tensor
    ) -> Tensor:
        """``prox_{γf}(x)`` for images x."""
        shift = 1 + gamma * self._ridge
        return super().prox((x + gamma * self._ridge * 0.5) / shift, y, physics, gamma=gamma / shift)  # pyright: ignore


class CountedProx(Prior):
    """A penalty with deepinv's interface; every iteration calls its prox once."""

    def __init__(self, penalty: operators.Regulariser, counter: CallCounter) -> None:
        super().__init__()
        self._prox = penalty.prox
        self._counter = counter

    def prox(self, x: Tensor, *arguments: object, gamma: Tensor, **keywords: object) -> Tensor:
        """``prox_{γg}(x)``."""
        return self._counter.count(self._prox(x, gamma))


def deepinv_deq(
    max_iter: int = 100,
    backward: int = 50,
    anderson: bool = False,
    history: int = 5,
    beta: float = 1.0,
    regularisation: float = 1e-4,
    thres: float = 1e-5,
    early_stop: bool = False,
) -> DeepInverse:
    """Deep equilibrium: plain forward iterations, and plain or Anderson-accelerated adjoint iterations.

    Args:
        max_iter, backward: largest numbers of forward and adjoint iterations.
        anderson: ``anderson_acceleration_backward``.
        history, beta, regularisation: settings of ``anderson``.
        thres: ``thres_conv``, which always stops the adjoint iteration.
        early_stop: whether ``thres`` stops the forward iteration too.
    """
    label = shortest_call(deepinv_deq, 2, locals())
    mixing = _mixing(history, beta, regularisation)
    return DeepInverse(
        label,
        whole("max_iter", max_iter),
        whole("backward", backward),
        real("thres", thres),
        switch("early_stop", early_stop),
        mixing_backward=mixing if switch("anderson", anderson) else None,
    )


def deepinv_anderson(
    max_iter: int = 100,
    backward: int = 50,
    history: int = 10,
    beta: float = 0.9,
    regularisation: float = 0.1,
    history_backward: int = 5,
    beta_backward: float = 1.0,
    regularisation_backward: float = 1e-4,
    thres: float = 1e-5,
    early_stop: bool = False,
) -> DeepInverse:
    """Deep equilibrium with Anderson acceleration of both iterations; every default is deepinv's.

    Other arguments are those of ``deepinv_deq``; ``…_backward`` are settings of the adjoint iteration.
    """
    return DeepInverse(
        shortest_call(deepinv_anderson, 2, locals()),
        whole("max_iter", max_iter),
        whole("backward", backward),
        real("thres", thres),
        switch("early_stop", early_stop),
        _mixing(history, beta, regularisation),
        _mixing(history_backward, beta_backward, regularisation_backward),
    )


def deepinv_jfb(max_iter: int = 100) -> DeepInverse:
    """Deep equilibrium with ``jacobian_free=True``: one taped application after ``max_iter`` without a tape."""
    return DeepInverse(shortest_call(deepinv_jfb, 1, locals()), whole("max_iter", max_iter), 0)


def deepinv_unfolded(max_iter: int = 100) -> DeepInverse:
    """Unfolded: backpropagation through all iterations."""
    return DeepInverse(shortest_call(deepinv_unfolded, 1, locals()), whole("max_iter", max_iter), None)


def _mixing(history: int, beta: float, regularisation: float) -> Mixing:
    return whole("history", history), real("beta", beta), real("regularisation", regularisation)
