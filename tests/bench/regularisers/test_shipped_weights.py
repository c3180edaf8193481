"""Weights that come with the project: they are the default, keep the label, and answer for a checksum."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial

import pytest
import torch

from bench.config.lookup import DenoiserOptions, parse_task
from bench.denoisers.weights import weight_bytes
from bench.regularisers import LearnedPrior, crr, foe, icnn, prior, wcrr
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from bench.utils.errors import UserError
from solvers import QuasiNewton


def altered() -> torch.nn.Module:
    """A regulariser with other parameters than the initial ones, which float32 holds."""
    regulariser = crr().family.build().float()
    with torch.no_grad():
        for parameter in regulariser.parameters():
            parameter.add_(0.125)
    return regulariser


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x.float(), y.float()) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.fixture
def shipping(tmp_path, monkeypatch) -> LearnedPrior:
    """A prior whose weights come with the project, in a folder of this test."""
    data = weight_bytes(altered(), "crr")
    (tmp_path / "mine.safetensors").write_bytes(data)
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(data).hexdigest()}  mine.safetensors\n")
    monkeypatch.setattr(prior, "FOLDER", tmp_path)
    monkeypatch.setattr(prior, "SUMS", tmp_path / "SHA256SUMS")
    return replace(crr(), shipped="mine")


def test_shipped_weights_are_the_default_and_keep_the_label(shipping):
    assert shipping.label == "crr"
    assert same(shipping.regulariser(torch.float64, "cpu"), altered())


def test_a_file_of_weights_replaces_shipped_ones(tmp_path, shipping):
    file = tmp_path / "other.safetensors"
    file.write_bytes(weight_bytes(crr().family.build(), "crr"))
    task = DenoiserOptions(str(file)).apply(replace(parse_task("denoising(crr)"), prior=shipping))
    assert task.label == "denoising(crr(weights=other.safetensors))"
    assert same(task.prior.regulariser(torch.float32, "cpu"), crr().family.build())


def test_a_changed_file_is_refused_in_one_line(tmp_path, shipping):
    file = tmp_path / "mine.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1  # one bit of one weight
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"mine.safetensors fail their checksum"):
        shipping.regulariser(torch.float32, "cpu")


@pytest.mark.parametrize("prior", ["crr", "wcrr"])
def test_the_shipped_weights_denoise(prior):
    """The data term is ½‖x − y‖² with noise of 0.1: the initial parameters remove less of it."""
    images = find_images(None)
    problems = [
        build_problem(parse_task(task), images, Layout(crop=64, train=2, test=1), 0)
        for task in (f"denoising({prior})", f"denoising({prior}(circular=True))")
    ]
    errors = []
    for problem in problems:
        with torch.no_grad():
            found = QuasiNewton(1e-6, 300)(problem.bind(problem.train), problem.start(problem.train))
        errors.append(float((found.x - problem.train.truth).square().mean()))
    noisy = float((problems[0].train.y - problems[0].train.truth).square().mean())
    assert errors[0] < 0.6 * errors[1]
    assert errors[0] < 0.3 * noisy


@pytest.mark.parametrize("make", [partial(crr, circular=True), partial(wcrr, circular=True), icnn, foe])
def test_without_shipped_weights_parameters_are_the_initial_ones(make):
    assert make().shipped is None
    assert same(make().regulariser(torch.float64, "cpu"), make().family.build())


def test_the_shipped_weights_deblur_unchanged():
    """With the noise that they were trained for; they know nothing of the blur. The start has less noise than y."""
    images, layout = find_images(None), Layout(crop=64, train=1, test=4)
    problem = build_problem(parse_task("deblurring(crr, noise=0.1)"), images, layout, 0, dtype=torch.float64)
    with torch.no_grad():
        found = QuasiNewton(1e-6, 500)(problem.bind(problem.test), problem.start(problem.test))

    def psnr(x: torch.Tensor) -> float:
        squares = (x - problem.test.truth).square().mean((1, 2, 3))
        return float(-10 * squares.log10().mean())

    assert psnr(found.x) > psnr(problem.test.x0) + 1.5 > psnr(problem.test.y) + 8
