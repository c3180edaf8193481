"""Crops of slices show the content, whole first and then in parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.tasks.images import crops, find_images
from bench.tasks.slices import LONGEST, MOST, SMALLEST, Slice, content, part, slices_of, whole
from bench.utils.errors import UserError


def disc(height, width, y, x, radius, background=0.0):
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64), indexing="ij"
    )
    inside = (rows - y).square() + (columns - x).square() <= radius**2
    return torch.where(inside, 1.0, background)[None]


@settings(deadline=None, max_examples=50)
@given(st.integers(10, 40), st.integers(45, 70), st.integers(45, 80), st.sampled_from([0.0, 0.3]))
def test_the_content_is_within_the_square(radius, y, x, background):
    image = disc(120, 140, y, x, radius, background)
    top, left, side = content(image)
    assert 2 * radius * 0.85 <= side <= 2 * radius * 1.2 + 3
    assert abs(top + side / 2 - y) <= 2
    assert abs(left + side / 2 - x) <= 2


def test_a_square_beyond_the_image_shows_its_background():
    image = disc(30, 100, 15, 50, 14, 0.25)
    image[:, 10:20, 5:95] = 1
    x = whole(image, 48)
    assert x.shape == (1, 48, 48)
    top, _, side = content(image)
    assert side == round(LONGEST * 30)
    assert top < 0
    assert float(x[0, 0].max()) == pytest.approx(0.25)


def test_an_image_without_content_is_shown_as_it_is():
    assert torch.equal(
        whole(torch.full((3, 9, 7), 0.5, dtype=torch.float64), 4), torch.full((3, 4, 4), 0.5).double()
    )


def test_resampling_keeps_the_mean():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.random((1, 256, 256)))
    x = whole(image, 64)
    assert abs(float(x.mean()) - float(image.mean())) < 5e-3
    assert float(x.std()) < 0.5 * float(image.std()), "a smaller image averages, so that noise does not alias"


def test_parts_are_large_and_differ():
    image = disc(200, 200, 100, 100, 60)
    rng = torch.Generator().manual_seed(0)
    parts = [part(image, 32, rng) for _ in range(8)]
    assert all(p.shape == (1, 32, 32) for p in parts)
    assert all(float(p.mean()) > SMALLEST**2 * 0.5 for p in parts)
    assert not torch.equal(parts[0], parts[1])


def test_the_first_crop_of_each_slice_is_whole(tmp_path):
    for name, radius in (("a", 20), ("b", 30)):
        np.save(tmp_path / f"{name}.npy", disc(100, 100, 50, 50, radius)[0].numpy())
    files = tuple(Slice(tmp_path / f"{name}.npy") for name in "ab")
    first, second, third, fourth = crops(files, 1, 32, 4, 0)
    assert torch.equal(first, whole(files[0].read(1), 32))
    assert torch.equal(second, whole(files[1].read(1), 32))
    assert not torch.equal(third, first)
    assert torch.equal(crops(files, 1, 32, 4, 1)[0], first)
    assert not torch.equal(crops(files, 1, 32, 4, 1)[3], fourth)


@pytest.mark.parametrize(
    ("count", "indices"), [(1, [0]), (2, [0, 1]), (5, [1, 2, 3]), (40, [10, 13, 15, 18, 21, 24, 26, 29])]
)
def test_slices_are_of_the_middle_half(count, indices, tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((count, 8, 8)))
    slices = slices_of(tmp_path / "a.npy")
    assert [each.index for each in slices] == indices
    assert len(slices) <= MOST


@pytest.mark.misuse("--images FILE with one image", "refused: holds one image, too few to train and test")
def test_a_file_alone_needs_several_slices(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((8, 8)))
    with pytest.raises(UserError, match=r"a\.npy holds one image, too few to train and test"):
        find_images(str(tmp_path / "a.npy"))
    np.save(tmp_path / "b.npy", np.random.default_rng(0).random((16, 8, 8)))
    images = find_images(str(tmp_path / "b.npy"))
    assert [len(images.train), len(images.test)] == [6, 2]
    assert {s.index for s in images.train} & {s.index for s in images.test} == set()
