"""A setting of a second, and a folder of colour images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from theory_checks.companions.local_mmse.simulation.data import Faces
from theory_checks.companions.local_mmse.simulation.networks import FlatUNet, PatchPerceptron, Residual
from theory_checks.companions.local_mmse.simulation.problems import Denoise, GaussianBlur, InpaintCentre
from theory_checks.companions.local_mmse.simulation.settings import PAPER, Case, Setting
from theory_checks.companions.local_mmse.simulation.training import Recipe


def _tiny() -> Setting:
    """Every path of the setting of the paper, in a second."""
    recipe, at = Recipe(2, 2), (0.3, 0.6)
    case = Case(Denoise(), False, Residual(4), 5, recipe, at)
    return replace(
        PAPER,
        source=Faces(),
        device="cpu",
        size=9,
        train=4,
        test=3,
        windows=(3, 5, 7),
        cases=(
            case,
            replace(case, architecture=PatchPerceptron(4, 1)),
            replace(case, architecture=FlatUNet(4)),
            replace(case, operator=InpaintCentre(3), aware=True),
            replace(case, operator=GaussianBlur(0.6), aware=True),
        ),
        dominance=(replace(case, P=7),),
        by_size=(replace(case, images=2),),
        by_level=case,
        match_images=2,
        score_images=2,
        risk_images=3,
        table_sigmas=(0.6,),
        score_pairs=20,
    )


TINY = _tiny()


def pictures(root: Path, count: int, side: int) -> None:
    """Colour images of noise where FFHQ would be."""
    (root / "ffhq" / "00000").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        shown = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
        shown.save(root / "ffhq" / "00000" / f"{i:05}.png")
