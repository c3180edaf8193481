"""Sizes, seeds and networks of the experiments on LE-MMSE, for a laptop and for a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from .data import FashionMNIST, PackagedImages, Source, UserImages
from .networks import Architecture, FlatUNet, PatchPerceptron, Residual
from .problems import Denoise, GaussianBlur, InpaintCentre, Operator
from .training import Recipe


@dataclass(frozen=True, slots=True)
class Case:
    """A network to be trained.

    Attributes:
        operator, aware: the inverse problem (see ``problems.Problem``).
        architecture, P: the network and its receptive field.
        recipe: training parameters.
        sigmas: noise levels it is trained for.
        images: number of training images; 0 for all of the setting.
    """

    operator: Operator
    aware: bool
    architecture: Architecture
    P: int
    recipe: Recipe
    sigmas: tuple[float, ...]
    images: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """Parameters of all experiments.

    Attributes:
        source: data set of the images.
        size, train, test: pixels a side, and how many images of each set.
        sigma: the noise level of the claims.
        windows: patch sizes P′ that networks are compared with.
        cases: networks that must match LE-MMSE (2.6); the first, which is for denoising, is that of 2.5 and 2.8.
        dominance: networks of other P for denoising, also compared in 2.6.
        by_size: networks trained on fewer images; reported (2.8).
        by_level: network trained for several noise levels; reported (2.8).
        match_images: images of each split on which networks are compared with estimators.
        risk_images, risk_pairs: training images drawn for the risks (2.5, 2.7; 0 for all), and antithetic pairs of
            noise for each.
        table_sigmas: noise levels of the tables.
        score_images, score_pairs: images, and antithetic pairs for each, of orthogonality (2.4).
        seed: seed of the noise.
        device: device of all tensors.
    """

    source: Source
    size: int
    train: int
    test: int
    sigma: float
    windows: tuple[int, ...]
    cases: tuple[Case, ...]
    dominance: tuple[Case, ...]
    by_size: tuple[Case, ...]
    by_level: Case
    match_images: int = 24
    risk_images: int = 0
    risk_pairs: int = 1
    table_sigmas: tuple[float, ...] = (0.6,)
    score_images: int = 16
    score_pairs: int = 8
    seed: int = 0
    device: str = "cpu"


def _small() -> Setting:
    perceptron, deep = PatchPerceptron(64, 3), Recipe(600, 21, 8e-3)
    residual, short = Residual(48), Recipe(500, 16)
    levels = (0.6,)
    centre, blur = InpaintCentre(4), GaussianBlur(0.7)
    return Setting(
        source=UserImages(PackagedImages()),
        size=14,
        train=50,
        test=50,
        sigma=0.6,
        windows=(3, 5, 7, 9),
        cases=(
            Case(Denoise(), False, perceptron, 5, deep, levels),
            Case(Denoise(), False, residual, 5, short, levels),
            Case(Denoise(), False, FlatUNet(24), 5, Recipe(400, 16), levels),
            Case(centre, False, perceptron, 5, Recipe(900, 21, 8e-3), levels),
            Case(centre, True, PatchPerceptron(96, 1), 5, Recipe(2500, 10, 8e-3, 0.99), levels),
            Case(blur, False, residual, 5, short, levels),
            Case(blur, True, residual, 5, short, levels),
        ),
        dominance=(Case(Denoise(), False, perceptron, 3, Recipe(300, 21), levels),),
        by_size=(Case(Denoise(), False, residual, 5, short, levels, 10),),
        by_level=Case(Denoise(), False, residual, 5, short, (0.2, 0.3, 0.4, 0.6, 0.8, 1.0)),
        risk_pairs=4,
    )


def _paper() -> Setting:
    levels = (0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    recipe = Recipe(4000, 128, 2e-3, 0.99)
    perceptron, residual, unet = PatchPerceptron(256, 3), Residual(192), FlatUNet(64)
    operators: tuple[Operator, ...] = (Denoise(), InpaintCentre(15), GaussianBlur(1.0))
    problems = [(op, aware) for op in operators for aware in (False, True) if aware <= (op != Denoise())]
    first = Case(Denoise(), False, residual, 5, recipe, levels)
    return Setting(
        source=UserImages(FashionMNIST()),
        size=28,
        train=10_000,
        test=100,
        sigma=0.6,
        windows=(5, 7, 9, 11),
        cases=(
            first,
            Case(Denoise(), False, perceptron, 5, recipe, levels),
            Case(Denoise(), False, unet, 5, recipe, levels),
            *(Case(op, aware, residual, 5, recipe, levels) for op, aware in problems[1:]),
        ),
        dominance=tuple(Case(Denoise(), False, residual, P, recipe, levels) for P in (7, 9, 11)),
        by_size=tuple(Case(Denoise(), False, residual, 5, recipe, levels, n) for n in (100, 1000)),
        by_level=first,
        match_images=50,
        risk_images=200,
        table_sigmas=(0.1, 0.3, 0.6, 1.0),
        score_images=50,
        device="cuda",
    )


SMALL, PAPER = _small(), _paper()
