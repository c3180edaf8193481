"""Learned regularisers before the size of an image is known, and the calls that make them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from ..denoisers import WeightFile, weight_file
from ..denoisers.weights import load_weights, shipped_weights
from ..operators.gradient_step import GradientStep, SmoothRegulariser
from ..operators.splitting import check_flat
from ..utils.arguments import call_label, switch, with_argument
from ..utils.errors import UserError
from .fields_of_experts import FieldsOfExperts
from .input_convex import STUDY_NAMES as INPUT_CONVEX_NAMES
from .input_convex import InputConvexRegulariser
from .ridge import STUDY_NAMES as RIDGE_NAMES
from .ridge import RidgeRegulariser
from .ridge_analysis import RidgeAnalysis

SEED = 0
"""Of the initial filters."""
FOLDER = Path(__file__).parent / "weights"
SUMS = FOLDER / "SHA256SUMS"


class RegulariserFamily(ABC):
    """Regularisers of one kind; a frozen dataclass: hashable, printable, picklable."""

    @property
    @abstractmethod
    def study_names(self) -> Mapping[str, str]:
        """Names of the parameters in the files of the study arXiv 2510.01755, by names here."""

    @abstractmethod
    def build(self) -> SmoothRegulariser:
        """The regulariser with its initial parameters, in float64."""


@dataclass(frozen=True, slots=True)
class Ridge(RegulariserFamily):
    """Ridge regularisers; see ``RidgeRegulariser``."""

    weak: float
    circular: bool

    @property
    def study_names(self) -> Mapping[str, str]:
        """See ``RegulariserFamily``."""
        return RIDGE_NAMES

    def build(self) -> RidgeRegulariser:
        """See ``RegulariserFamily``."""
        return RidgeRegulariser(self.weak, self.circular, torch.Generator().manual_seed(SEED))


@dataclass(frozen=True, slots=True)
class InputConvex(RegulariserFamily):
    """Input-convex networks; see ``InputConvexRegulariser``."""

    circular: bool

    @property
    def study_names(self) -> Mapping[str, str]:
        """See ``RegulariserFamily``."""
        return INPUT_CONVEX_NAMES

    def build(self) -> InputConvexRegulariser:
        """See ``RegulariserFamily``."""
        return InputConvexRegulariser(self.circular, torch.Generator().manual_seed(SEED))


@dataclass(frozen=True, slots=True)
class Experts(RegulariserFamily):
    """Fields of experts; see ``FieldsOfExperts``."""

    convex: bool
    circular: bool

    @property
    def study_names(self) -> Mapping[str, str]:
        """Empty: the study has none."""
        return {}

    def build(self) -> FieldsOfExperts:
        """See ``RegulariserFamily``."""
        return FieldsOfExperts(self.convex, self.circular, torch.Generator().manual_seed(SEED))


@dataclass(frozen=True, slots=True)
class LearnedPrior:
    """A learned regulariser with a gradient step as its operator.

    Attributes:
        label: the call that made the prior, as tables show it.
        family: the kind of regulariser.
        weights: a file with its parameters; ``None`` for those that come with the project, or the initial ones.
        shipped: name of the parameters that come with the project; ``None`` if there are none.
    """

    label: str = field(compare=False)
    family: RegulariserFamily
    weights: WeightFile | None = None
    shipped: str | None = None

    @property
    def layers(self) -> int:
        """0: all iterations share their parameters."""
        return 0

    def regulariser(self, dtype: torch.dtype, device: torch.device | str) -> SmoothRegulariser:
        """The regulariser in a dtype, on a device. Raises ``UserError`` if the weights do not fit."""
        regulariser = self.family.build()
        if self.weights is not None:
            tensors, names = self.weights.tensors(), self.family.study_names
            if set(tensors) == set(names.values()):
                tensors = {ours: tensors[theirs] for ours, theirs in names.items()}
            load_weights(regulariser, tensors, Path(self.weights.source).name, torch.float64)
        elif self.shipped is not None:
            file = FOLDER / f"{self.shipped}.safetensors"
            load_weights(regulariser, shipped_weights(file, SUMS), file.name, torch.float64)
        return regulariser.to(device, dtype)

    def operator(
        self, shape: tuple[int, ...], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> GradientStep:
        """See ``Prior.operator``; raises ``UserError`` for colour images too."""
        self.check(shape)
        return GradientStep(self.regulariser(dtype, device), step)

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ``UserError`` for images ``(C, H, W)`` that are not grey, and volumes."""
        check_flat(self.label, shape)
        if shape[0] != 1:
            raise UserError(f"{self.label} takes grey images, not {shape[0]} channels: choose a grey task")

    def with_weights(self, source: str) -> LearnedPrior:
        """The prior with parameters from the file ``source``. Raises ``UserError`` if it cannot be read."""
        label = with_argument(self.label, f"weights={Path(source).name}")
        return replace(self, label=label, weights=weight_file(source))


@dataclass(frozen=True, slots=True)
class ConvexRidgePrior(LearnedPrior):
    """A convex ridge regulariser, which splittings take by the coefficients of its filters too.

    Attributes:
        circular: boundary of the convolutions; zeros otherwise.
    """

    circular: bool = False

    @property
    def ridge(self) -> float:
        """0."""
        return 0.0

    @property
    def smooth(self) -> bool:
        """``True``: ``operator`` is a gradient step."""
        return True

    def analysis(
        self, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device | str
    ) -> RidgeAnalysis:
        """The regulariser as a penalty of its coefficients; raises ``UserError`` as ``operator`` does."""
        self.check(shape)
        regulariser = self.regulariser(dtype, device)
        assert isinstance(regulariser, RidgeRegulariser)
        return RidgeAnalysis(regulariser)


def crr(circular: bool = False) -> ConvexRidgePrior:
    """Convex ridge regulariser: 64 filters of 13×13 as three convolutions, Huber potentials (arXiv 2211.12461).

    ``circular`` is the boundary of the convolutions, zeros by default, as in the study arXiv 2510.01755. With zeros its
    parameters are those that come with the project, trained for noise of 0.1; otherwise the initial ones.
    """
    label = call_label("crr", circular=(switch("circular", circular), False))
    shipped = None if circular else "crr"
    return ConvexRidgePrior(label, Ridge(0.0, circular), shipped=shipped, circular=circular)


def wcrr(circular: bool = False) -> LearnedPrior:
    """Weakly convex ridge regulariser: as ``crr``, less the same potential at slope 1 (arXiv 2308.10542).

    With a boundary of zeros its parameters are those that come with the project, as those of ``crr``.
    """
    label = call_label("wcrr", circular=(switch("circular", circular), False))
    return LearnedPrior(label, Ridge(1.0, circular), shipped=None if circular else "wcrr")


def icnn(circular: bool = False) -> LearnedPrior:
    """Input-convex network of two layers with 32 channels (arXiv 1609.07152), as in the study arXiv 2510.01755."""
    return LearnedPrior(
        call_label("icnn", circular=(switch("circular", circular), False)), InputConvex(circular)
    )


def foe(circular: bool = False, convex: bool = False) -> LearnedPrior:
    """Fields of experts: 48 filters of 7×7 under a Student-t potential (doi 10.1007/s11263-008-0197-6).

    Args:
        circular: boundary of the filters, zeros by default.
        convex: whether the potential is ``√(1 + u²)`` in place of ``½ log(1 + u²)``.
    """
    family = Experts(switch("convex", convex), switch("circular", circular))
    label = call_label("foe", circular=(family.circular, False), convex=(family.convex, False))
    return LearnedPrior(label, family)


REGULARISERS: dict[str, Callable[..., LearnedPrior]] = {"crr": crr, "wcrr": wcrr, "icnn": icnn, "foe": foe}
