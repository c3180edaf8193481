"""LE-MMSE: the estimators at tiny sizes, the class of the networks, training, and PSNR."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.theory_checks.companions.local_mmse.conftest import TINY
from theory_checks.companions.local_mmse.simulation import (
    brute_force,
    estimators,
    evaluation,
    patches,
    psnr_matches,
    training,
)
from theory_checks.companions.local_mmse.simulation.data import Cifar10, Faces, FashionMNIST, Ffhq
from theory_checks.companions.local_mmse.simulation.estimators import ChunkSizes
from theory_checks.companions.local_mmse.simulation.networks import PatchPerceptron, Residual
from theory_checks.companions.local_mmse.simulation.posterior import StreamedPosterior
from theory_checks.companions.local_mmse.simulation.problems import (
    Denoise,
    GaussianBlur,
    InpaintCentre,
    InpaintRandom,
    problem,
)
from theory_checks.companions.local_mmse.simulation.psnr import psnr
from theory_checks.companions.local_mmse.simulation.settings import SMALL
from theory_checks.companions.local_mmse.simulation.training import Recipe


def _images(count: int, height: int = 6, width: int = 6, channels: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(count)
    return torch.rand(count, channels, height, width, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize(
    ("operator", "aware"),
    [
        (Denoise(), False),
        (InpaintRandom(0.4), False),
        (InpaintRandom(0.4), True),
        (GaussianBlur(0.5), True),
    ],
)
def test_local_is_its_definition_on_a_rectangle(operator, aware) -> None:
    train = _images(4, 5, 7)
    asked = problem(operator, aware, train)
    y = asked.measure(train[:1], torch.ones_like(train[:1]) * 0.7 - train[2:3], 0.4)
    found = estimators.local(y, train, asked, 0.4, 3, ChunkSizes(3, 5, 4))
    x, density = brute_force.dense_local(y, train, asked, 0.4, 3)
    assert torch.allclose(found.x.flatten(), torch.from_numpy(x), atol=1e-11)
    assert torch.allclose(found.log_density.flatten(), torch.from_numpy(density), atol=1e-9)
    assert ((found.weight > 0) & (found.weight <= 1)).all()


def test_the_source_of_a_patch_is_its_image() -> None:
    train = _images(5)
    found = estimators.local(train[3:4], train, problem(Denoise(), False, train), 0.01, 5)
    assert (found.source == 3).all()
    assert (found.weight > 0.99).all()


def test_colour_is_seen_together() -> None:
    """A colour image whose channels are one another's copies: distances are three times as large."""
    grey = _images(4)
    colour = grey.repeat(1, 3, 1, 1)
    y = grey[:1] + 0.1
    one = estimators.local(y, grey, problem(Denoise(), False, grey), 0.3 / math.sqrt(3), 3).x
    three = estimators.local(y.repeat(1, 3, 1, 1), colour, problem(Denoise(), False, colour), 0.3, 3).x
    assert torch.allclose(three, one.expand_as(three), atol=1e-12)


def test_mmse_and_the_equivariant_one_are_their_definitions() -> None:
    train = _images(3, 4, 5)
    asked = problem(Denoise(), False, train)
    y = train[1:2] + 0.3
    assert np.allclose(
        estimators.mmse(y, train, asked, 0.8).flatten(),
        brute_force.dense_mmse(y, train, asked, 0.8),
        atol=1e-13,
    )
    wanted = brute_force.dense_equivariant(y, train, asked, 0.8)
    assert np.allclose(estimators.equivariant(y, train, asked, 0.8).flatten(), wanted, atol=1e-13)


def test_no_weights_underflow_far_away_and_none_are_needed() -> None:
    train = _images(3)
    found = estimators.local(train[:1] + 1e4, train, problem(Denoise(), False, train), 1e-3, 3)
    assert torch.isfinite(found.x).all()
    assert torch.isfinite(found.log_density).all()
    with pytest.raises(ValueError, match="no examples"):
        StreamedPosterior(train.flatten(1), 0.3, 2, 2).posterior()


def test_a_network_of_a_patch_is_the_network_of_the_image() -> None:
    """All padding is at the front, so the layers run on a patch alone."""
    images = _images(1, 9, 9).float()
    network = training.evaluation_mode(
        training.untrained_network(Residual(4), 5, problem(Denoise(), False, images), images, 0)
    )
    level = torch.tensor([0.3])
    alone = network(patches.shifted(images, 1, 2), level)[0, 0, 4, 4]
    assert torch.allclose(network(images, level)[0, 0, 3, 2], alone, atol=1e-6)


def test_training_learns() -> None:
    """A constant: 60 steps are enough, and none are not."""
    images = torch.full((2, 1, 6, 6), 0.8, dtype=torch.float64)
    asked = problem(Denoise(), False, images.float())
    errors = []
    for steps in (2, 60):
        network = training.train(PatchPerceptron(8, 1), 3, asked, images, (0.3,), Recipe(steps, 4, 1e-2, 0.9))
        errors.append(float((evaluation.apply_network(network, images + 0.1, 0.3) - images).abs().max()))
    assert errors[1] < 0.1 < errors[0]


def test_noise_falls_on_lost_pixels_and_blur_is_circular() -> None:
    x = _images(1)
    lost = problem(InpaintCentre(2), True, x)
    y = lost.measure(x, torch.ones_like(x), 0.5)
    assert torch.allclose(y[..., 2:4, 2:4], torch.full((2, 2), 0.5, dtype=torch.float64))
    assert (lost.observe(y)[..., 2:4, 2:4] == 0).all()
    blur = problem(GaussianBlur(0.5), True, x)
    assert torch.allclose(blur.observe(blur.clean(x)), x, atol=1e-12)
    moved = blur.clean(patches.shifted(x, 1, 2))
    assert torch.allclose(moved, patches.shifted(blur.clean(x), 1, 2), atol=1e-12)


def test_psnr_is_over_all_images_with_peak_1() -> None:
    a = torch.zeros(2, 1, 3, 3)
    assert psnr(a, a + 0.1) == pytest.approx(20, abs=1e-4)
    a[0] = 0.1
    assert psnr(a, a * 0) == pytest.approx(20 + 10 * math.log10(2), abs=1e-4)


def test_fashion_mnist_is_read_from_idx_files(tmp_path: Path) -> None:
    pixels = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8)
    header = np.array([2051, 3, 28, 28], ">u4").tobytes()
    for part in ("train", "t10k"):
        with gzip.open(tmp_path / f"{part}-images-idx3-ubyte.gz", "wb") as file:
            file.write(header + pixels.tobytes())
    found = FashionMNIST(str(tmp_path)).load(14, 2, 9)
    assert found.train.shape == (2, 1, 14, 14)
    assert found.test.shape == (3, 1, 14, 14)
    wanted = pixels.reshape(3, 28, 28)[0, :2, :2].mean() / 255
    assert float(found.train[0, 0, 0, 0]) == pytest.approx(wanted)


def test_faces_are_apart_from_those_of_the_test() -> None:
    found = Faces().load(14, 80, 80)
    assert len(found.train) == len(found.test) == 50
    assert not (found.train[:, None] == found.test[None]).flatten(2).all(2).any()


@pytest.mark.parametrize("source", [Cifar10(), Ffhq(), FashionMNIST("/nowhere")])
def test_missing_data_are_a_line_not_a_failure(source, tmp_path: Path, monkeypatch) -> None:
    for root in ("", str(tmp_path)):
        monkeypatch.setenv("EQGRAD_DATA", root)
        why = evaluation.missing_images(replace(SMALL, source=source))
        assert why
        assert "\n" not in why


def test_a_match_knows_its_rivals() -> None:
    found = psnr_matches.Match(TINY.cases[0], "", "train", 0.6, {3: 20.0, 5: 30.0, 7: 26.0}, 15.0, 14.0, 14.5)
    assert (found.own, found.lead) == (30.0, 4.0)
