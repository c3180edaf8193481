"""Mutants of the operators with a prox of the data term, of their γ and of their factors."""

from __future__ import annotations

import copy
import dataclasses
import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.operators import DataFidelity, DouglasRachford
from bench.operators.data_prox import DataProxOperator
from bench.operators.douglas_rachford import best_gamma, best_gamma_at_depth
from bench.operators.proximal import Regulariser
from bench.penalties import Penalty
from bench.penalties.shrinkage_bounds import ShrinkageBounds
from solvers import DerivativeChange, Map

from ..claims import c39_best_gamma, c41_plug_and_play_splitting, c42_gamma_at_depth
from ..engine import Mutant, mutant

DATA_PROX, CHANGE = DataProxOperator.data_prox, ShrinkageBounds.change
MODULE = sys.modules["bench.operators.douglas_rachford"]


def _with(change: Callable[[DataProxOperator], dict[str, float]]) -> Any:
    """``prox_{γf}`` with other numbers in place of γ or ε."""

    def data_prox(self: DataProxOperator, z: Tensor, data: DataFidelity) -> Tensor:
        twin = copy.copy(self)
        for name, value in change(self).items():
            setattr(twin, name, value)
        return DATA_PROX(twin, z, data)

    return data_prox


def _images_alone(self: DataProxOperator, z: Tensor, data: DataFidelity) -> Tensor:
    """``prox_{γf}`` for a union of bases as if every state were the analysis of an image."""
    shift = 1 + self.gamma * self.ridge
    right = self.prior.image(z + self.gamma * self.ridge * self.prior.grey())
    return self.prior.synthesis_adjoint(data.prox(right, self.gamma, shift))


def _iteration(step: Callable[[DouglasRachford, Tensor, Tensor], Tensor]) -> Any:
    """``T_α`` made of z and ``x = prox_{γf}(z)`` in another way."""

    def iterate(self: DouglasRachford, x: Tensor, data: DataFidelity) -> Tensor:
        return step(self, x, self.data_prox(x, data))

    return iterate


def _missing_reflection(T: DouglasRachford, z: Tensor, x: Tensor) -> Tensor:
    return z + T.gain * (T.prior.prox(x, T.step()) - x)


def _other_gamma(T: DouglasRachford, z: Tensor, x: Tensor) -> Tensor:
    return z + T.gain * (T.prior.prox(2 * x - z, 2 * T.step()) - x)


def _alpha_ignored(T: DouglasRachford, z: Tensor, x: Tensor) -> Tensor:
    return z + T.prior.prox(2 * x - z, T.step()) - x


def _detached(T: DouglasRachford, z: Tensor, x: Tensor) -> Tensor:
    return z + T.gain * (T.prior.prox(2 * x - z, T.step()) - x.detach())


def _state_as_image(self: DouglasRachford, state: Tensor, data: DataFidelity | None = None) -> Tensor:
    return self.prior.image(state)


def _ridge_kept(
    self: Penalty, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
) -> Regulariser:
    return self.build(shape, dtype, device)


def _reflection_alone(self: DouglasRachford, spectrum: tuple[float, float]) -> float:
    return self.alpha * self.argument_lipschitz(spectrum)


def _of_largest_alone(self: DouglasRachford, spectrum: tuple[float, float]) -> float:
    """δ from β, without σ."""
    beta = self.gamma * self.curvatures(spectrum)[1]
    return abs(1 - beta) / (1 + beta)


def _root(extremes: tuple[float, float]) -> float:
    return math.sqrt(extremes[0] * extremes[1])


def _for_the_worst_error(curvatures: Tensor, depth: int) -> float:
    return best_gamma((float(curvatures.min()), float(curvatures.max())))


def _at_depth_one(curvatures: Tensor, depth: int) -> float:
    return best_gamma_at_depth(curvatures, 1)


def _without_gain(self: ShrinkageBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    right, gain = CHANGE(self, x, u, radius), self.operator.gain
    return dataclasses.replace(right, J=right.J / gain, B=right.B / gain, size=right.size / gain)


def _denoised_unreflected(prox: Map, denoise: Map, z: Tensor) -> Tensor:
    x = prox(z)
    return z + denoise(x) - x


def _without_product(epsilon: float, m: float) -> float:
    return (1 + epsilon + epsilon * m) / (1 + m + 2 * epsilon * m)


def _data_prox(name: str, wrong: Any, *claims: str) -> Mutant:
    return mutant(name, DataProxOperator, "data_prox", wrong, *claims)


def _iterate(name: str, step: Callable[[DouglasRachford, Tensor, Tensor], Tensor], *claims: str) -> Mutant:
    return mutant(name, DouglasRachford, "iterate", _iteration(step), *claims)


SPLITTING_MUTANTS: tuple[Mutant, ...] = (
    _data_prox(
        "1/γ for γ in the prox of the data term", _with(lambda T: {"gamma": 1 / T.gamma}), "C37", "C39"
    ),
    _data_prox("the ridge left out of the data term", _with(lambda T: {"ridge": 0.0}), "C37", "C39"),
    _data_prox("a union whose states are all analyses of images", _images_alone, "C37"),
    _iterate("the prox of the penalty at 2γ", _other_gamma, "C37"),
    _iterate("a missing reflection", _missing_reflection, "C37", "C38"),
    _iterate("α is ignored", _alpha_ignored, "C38", "C40"),
    _iterate("x(z) is detached in an iteration", _detached, "C37", "C40"),
    mutant("z for x(z) as the image", DouglasRachford, "image", _state_as_image, "C37"),
    mutant("the ridge left in the penalty too", Penalty, "without_ridge", _ridge_kept, "C37"),
    mutant("a factor of T_α without |1−α|", DouglasRachford, "contraction", _reflection_alone, "C38", "C40"),
    mutant("δ from β alone", DouglasRachford, "argument_lipschitz", _of_largest_alone, "C38"),
    Mutant("γ* is √(σβ)", ((MODULE, "best_gamma", _root), (c39_best_gamma, "best_gamma", _root)), ("C39",)),
    mutant("γ* at every depth", c42_gamma_at_depth, "best_gamma_at_depth", _for_the_worst_error, "C42"),
    mutant(
        "the γ of depth 1 at every depth", c42_gamma_at_depth, "best_gamma_at_depth", _at_depth_one, "C42"
    ),
    mutant("a local search for the γ of a depth", MODULE, "SEARCH", 1, "C42"),
    mutant(
        "a missing reflection in plug-and-play",
        c41_plug_and_play_splitting,
        "splitting_step",
        _denoised_unreflected,
        "C41",
    ),
    mutant(
        "a factor of plug-and-play without 2ε²γμ",
        c41_plug_and_play_splitting,
        "published_factor",
        _without_product,
        "C41",
    ),
    mutant("derivative bounds without 2α", ShrinkageBounds, "change", _without_gain, "real C13"),
)
