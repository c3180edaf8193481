"""Groups: magnitudes, bands and numbers a band."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.penalties import (
    l1,
)
from bench.penalties.groups import ExpandBands, join, split
from tests.helpers.penalties import EVERY_GROUPS
from tests.helpers.tensors import draw


@pytest.mark.parametrize("groups", EVERY_GROUPS, ids=str)
def test_magnitudes_are_those_of_a_plain_loop(groups):
    c = draw(0, 2, 3, 16, 8)
    found = groups.magnitude(c, 2).expand_as(c)
    for b, channel, y, x in torch.cartesian_prod(*(torch.arange(n) for n in c.shape)).tolist():
        channels = range(3) if groups.colours else [channel]
        places = [(y, x)]
        for h, w in ((8, 4), (4, 2)):  # the finest scale first
            if max(y // h, x // w) == 1 and groups.orientations:
                places = [(h + y % h, x % w), (y % h, w + x % w), (h + y % h, w + x % w)]
        expected = sum(float(c[b, k, i, j]) ** 2 for k in channels for i, j in places) ** 0.5
        assert found[b, channel, y, x].item() == pytest.approx(expected, rel=1e-12)


def test_a_plane_taken_apart_has_the_bands_of_the_wavelets_and_joins_again():
    bands = l1().build((1, 32, 64)).wavelets.bands[None, None]
    approximation, details = split(bands, 3, 2)
    assert (approximation == 0).all()
    for j, detail in enumerate(details):
        assert all((detail[:, :, o] == 1 + 3 * j + o).all() for o in range(3))
    assert torch.equal(join(approximation, details, 2), bands)


@pytest.mark.parametrize(("size", "levels"), [((32, 64), 3), ((8, 8), 1), ((72, 40), 2)])
def test_a_number_a_band_is_spread_over_its_places(size, levels):
    bands = replace(l1(), wavelet="haar", levels=levels).build((1, *size)).wavelets.bands
    numbers = draw(0, 2, 3, 1 + 3 * levels).requires_grad_()
    found = ExpandBands(bands)(numbers)
    assert torch.equal(found, numbers[..., bands])
    v = draw(1, *found.shape)
    (expected,) = torch.autograd.grad(numbers[..., bands], numbers, v)
    torch.testing.assert_close(torch.autograd.grad(found, numbers, v)[0], expected, rtol=1e-12, atol=1e-12)
