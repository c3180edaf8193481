"""Random streams: what is drawn for one purpose tells nothing of what is drawn for another."""

from __future__ import annotations

import itertools
import math
from typing import get_args

import pytest
import torch

from bench.config.matrix import parse_task

# Not public: no record holds the order of batches.
from bench.measurement.training import _batches
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from bench.utils.random_streams import Purpose, stream, stream_seed
from tests.helpers.tensors import F64

PURPOSES = get_args(Purpose)
MANY = 4096


def test_every_purpose_seed_and_draw_has_a_number_of_its_own():
    places = list(itertools.product((0, 1, 2, 7, 2**31), PURPOSES, (0, 1, 2)))
    numbers = [stream_seed(seed, purpose, draw) for seed, purpose, draw in places]
    assert len(set(numbers)) == len(places)
    # More bits would be thrown away by the generator, and two numbers could then be one.
    assert all(0 <= n < 2**32 for n in numbers)
    assert numbers == [stream_seed(seed, purpose, draw) for seed, purpose, draw in places]


@pytest.mark.misuse("a seed beyond 32 bits", "right: every bit of it counts")
def test_every_bit_of_a_seed_counts():
    assert stream_seed(5, "masks") != stream_seed(5 + 2**32, "masks")
    same = [torch.rand(3, generator=torch.Generator().manual_seed(s)) for s in (5, 5 + 2**32)]
    assert torch.equal(*same), "the reason is gone: torch's generator looks at all bits now"


@pytest.mark.parametrize("seed", range(3))
def test_uniform_numbers_of_one_purpose_tell_nothing_of_normal_ones_of_another(seed):
    """Blocks of 16 normals are made of 16 uniform numbers: with one state, half of them have one sign."""
    for first, second in itertools.permutations(PURPOSES, 2):
        kept = torch.rand(MANY, generator=stream(seed, first), dtype=F64) >= 0.5
        noise = torch.randn(MANY, generator=stream(seed, second), dtype=F64)
        assert abs(float(noise[kept].mean())) * math.sqrt(int(kept.sum())) < 5, (first, second)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("inpainting(huber)", Layout(64, 4, 4)),
        ("inpainting(huber)", Layout(256, 1, 1)),
        ("inpainting_colour(l1)", Layout(64, 4, 2)),
    ],
)
@pytest.mark.misuse(
    "mask and noise of one seed, seed 0 among them",
    "right: the noise on kept pixels has mean 0 and its stated size",
)
def test_a_mask_tells_nothing_of_the_noise_on_the_pixels_that_it_keeps(text, layout, seed):
    task = parse_task(text)
    problem = build_problem(task, find_images(colour=task.channels == 3), layout, seed, dtype=F64)
    kept = (problem.physics.mask.expand(1, *problem.train.truth.shape[1:]) > 0)[0]
    late = torch.arange(kept.numel()).view(kept.shape) % 16 >= 8
    for batch in (problem.train, problem.test):
        for y, truth in zip(batch.y, batch.truth, strict=True):
            noise = (y - truth) / task.noise[0]
            for where in (kept, kept & late, kept & ~late):
                found = noise[where]
                assert abs(float(found.mean())) * math.sqrt(found.numel()) < 5
                assert float(found.std()) == pytest.approx(1, abs=5 / math.sqrt(2 * found.numel()))


def test_no_two_batches_of_any_seed_have_noise_in_common():
    """The training noise of seed 2k was once that of no other; that of seed 1 was the mask of seed 2."""
    task, images, layout = parse_task("denoising(huber)"), find_images(), Layout(32, 2, 2)
    noises = [
        (batch.y - batch.truth)[i].flatten()
        for seed in range(4)
        for draw in range(2)
        for problem in [build_problem(task, images, layout, seed, dtype=F64, draw=draw)]
        for batch in (problem.train, problem.test)
        for i in range(2)
    ]
    for a, b in itertools.combinations(noises, 2):
        assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 5 / math.sqrt(len(a))


def test_a_draw_is_another_mask_and_other_noise_on_the_same_crops():
    task, images, layout = parse_task("inpainting(huber)"), find_images(), Layout(32, 2, 2)
    first, again, other = (build_problem(task, images, layout, 0, dtype=F64, draw=d) for d in (0, 0, 1))
    assert torch.equal(first.train.y, again.train.y)
    assert torch.equal(first.train.truth, other.train.truth)
    assert not torch.equal(first.physics.mask, other.physics.mask)
    noise = [(p.train.y - p.train.truth)[0] for p in (first, other)]
    both = (first.physics.mask * other.physics.mask)[0] > 0
    assert not torch.isclose(noise[0][both], noise[1][both]).any()


def test_training_and_test_crops_lie_at_places_of_their_own():
    """At seed 0 both were drawn from one state: the same places in other photographs."""
    images = find_images()
    same = type(images)(images.source, images.train, images.train, images.digest)
    problem = build_problem(parse_task("denoising(huber)"), same, Layout(32, 4, 4), 0, dtype=F64)
    assert not any(torch.equal(a, b) for a, b in zip(problem.train.truth, problem.test.truth, strict=True))


def test_the_order_of_batches_is_a_stream_of_its_own():
    first = next(_batches(8, 8, 0))
    assert torch.equal(first, torch.randperm(8, generator=stream(0, "order of batches")))
    assert not torch.equal(first, next(_batches(8, 8, 1)))
