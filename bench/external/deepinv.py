"""deepinv's ``PGD``: deep equilibrium, Jacobian-free and unfolded, on the benchmark's physics, step and penalty."""

from __future__ import annotations

from dataclasses import dataclass, field

from deepinv.optim import L2, PGD, AndersonAccelerationConfig, DEQConfig, Prior
from torch import Tensor

from solvers import Loss, Map

from .. import operators
from ..operators import BoundOperator, ForwardBackward, Operator
from ..penalties import Penalty, WeightedPenalty
from ..utils.errors import UserError
from .base import CallCounter, ExternalSolution, installed, real, shortest_call, switch, whole


@dataclass(frozen=True, slots=True)
class Mixing:
    """Anderson acceleration: iterates that are mixed, damping, and an absolute regularisation."""

    history: int
    beta: float
    regularisation: float


@dataclass(frozen=True, slots=True)
class DeepInverse:
    """``PGD(..., unfold=True)`` with ``DEQ=DEQConfig(...)`` or without, made anew for every call, in 0.3 ms.

    It never calls T: it takes the physics, the step and the prox from it and makes its own iteration, which is the
    same up to rounding. Applications are counted where it calls the prox.

    Attributes:
        max_iter: forward iterations, at most.
        backward: of the adjoint equation, at most; 0 for Jacobian-free, ``None`` to backpropagate through all.
        thres: ``thres_conv``, relative; it stops the adjoint iteration, and with ``early_stop`` the forward one.
        early_stop: whether the forward iteration stops.
        mixing, mixing_backward: Anderson acceleration of either; ``None`` for plain iteration.
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
    def admits(operator: Operator | operators.Prior) -> bool:
        """Forward–backward on images with a weighted penalty, and a step that is not learned."""
        if isinstance(operator, Penalty):
            return not operator.union and not operator.coupled
        return (
            isinstance(operator, ForwardBackward)
            and isinstance(operator.prior, WeightedPenalty)
            and not operator.log_step.requires_grad
        )

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> ExternalSolution:
        """Solve ``x = T(x)`` from images ``x0`` ``(B, C, H, W)``.

        Raises:
            UserError: T is no operator that it can take.
        """
        if not isinstance(T, BoundOperator) or not self.admits(T.operator):
            raise UserError(
                f"{self.label} runs on forward-backward operators with a weighted penalty of images: "
                "leave it out for this task"
            )
        assert isinstance(T.operator, ForwardBackward)
        tally = CallCounter(self.max_iter if self.backward is None else 1)
        algorithm = PGD(
            data_fidelity=L2(),
            prior=CountedOperator(T.operator.prior, tally),
            # In a list, since a number would become a float32 parameter, and a tensor would be iterated over.
            stepsize=[T.operator.log_step.exp()],  # pyright: ignore[reportArgumentType]
            lambda_reg=1.0,
            # Anderson acceleration evaluates it at every iteration, and uses it for nothing.
            cost_fn=_no_cost,  # pyright: ignore[reportArgumentType]
            unfold=True,
            trainable_params=[],
            **self._settings(),  # pyright: ignore[reportArgumentType]
        )
        return tally.solution(algorithm(T.y, T.physics, init=x0.detach()))

    def _settings(self) -> dict[str, object]:
        """The arguments of ``PGD``, in its own words."""
        given: dict[str, object] = {
            "max_iter": self.max_iter,
            "thres_conv": self.thres,
            "early_stop": self.early_stop,
        }
        if self.mixing is not None:
            m = self.mixing
            given["anderson_acceleration"] = AndersonAccelerationConfig(m.history, m.beta, m.regularisation)
        if self.backward == 0:
            given["DEQ"] = DEQConfig(jacobian_free=True)
        elif self.backward is not None and self.mixing_backward is not None:
            m = self.mixing_backward
            given["DEQ"] = DEQConfig(False, True, m.history, m.beta, m.regularisation, self.backward)
        elif self.backward is not None:
            given["DEQ"] = DEQConfig(max_iter_backward=self.backward)
        return given


class CountedOperator(Prior):
    """A penalty of ours behind deepinv's interface; every iteration calls its prox once."""

    def __init__(self, penalty: operators.Regulariser, tally: CallCounter) -> None:
        super().__init__()
        self.call = penalty.prox
        self.tally = tally

    def prox(self, x: Tensor, *arguments: object, gamma: Tensor, **named: object) -> Tensor:
        """``prox_{γg}(x)``."""
        return self.tally.seen(self.call(x, gamma))


def _no_cost(*arguments: object) -> None:
    return None


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
    """Deep equilibrium: plain iterations forward, plain or Anderson-accelerated ones for the adjoint equation.

    Args:
        max_iter, backward: iterations forward and backward, at most.
        anderson: ``anderson_acceleration_backward``.
        history, beta, regularisation: of that, used with ``anderson`` only.
        thres: ``thres_conv``, by which the adjoint iteration stops whatever ``early_stop`` says.
        early_stop: whether the forward iteration stops by it too.

    Raises:
        UserError: a value is out of range.
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
    """Deep equilibrium, Anderson acceleration both ways; every default is deepinv's. As ``deepinv_deq``, and:

    Args:
        max_iter, backward, thres, early_stop: see there.
        history, beta, regularisation: of the forward iteration.
        history_backward, beta_backward, regularisation_backward: of the adjoint one.

    Raises:
        UserError: a value is out of range.
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
    """Deep equilibrium with ``jacobian_free=True``: one application on the tape after ``max_iter`` without."""
    return DeepInverse(shortest_call(deepinv_jfb, 1, locals()), whole("max_iter", max_iter), 0)


def deepinv_unfolded(max_iter: int = 100) -> DeepInverse:
    """Unfolded, without ``DEQ``: backpropagation through all iterations."""
    return DeepInverse(shortest_call(deepinv_unfolded, 1, locals()), whole("max_iter", max_iter), None)


def _mixing(history: int, beta: float, regularisation: float) -> Mixing:
    return Mixing(whole("history", history), real("beta", beta), real("regularisation", regularisation))
