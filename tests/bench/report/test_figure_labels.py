"""Names beside points lie within the axes and on no other name; panels show the error of images."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from bench.report.figures import _name, error_image
from bench.report.plot import Axis


@pytest.fixture
def ax():
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    figure.draw_without_rendering()
    yield ax
    plt.close(figure)


def named(ax, *points):
    _name(ax, [pd.DataFrame(points, columns=["x", "y", "name"])], Axis("y", 0.0, 1.0))
    return ax.texts


def test_names_at_the_edges_stay_within_the_axes(ax):
    corners = [(x, y, f"restarted_jfb({i}, 10)") for i, (x, y) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)])]
    texts = named(ax, *corners)
    assert len(texts) == 4
    frame = ax.get_window_extent()
    for text in texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1


def test_names_cover_no_other_and_are_left_out_where_none_fits(ax):
    texts = named(ax, *[(0.5, 0.5, "the same place")] * 6)
    boxes = [text.get_window_extent() for text in texts]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_the_error_image_is_the_largest_over_channels():
    truth = np.zeros((3, 2, 2), np.uint8)
    found = truth.copy()
    found[0, 0, 0], found[2, 0, 0], found[1, 1, 1] = 5, 9, 255
    assert error_image({"truth": truth, "equilibrium": found}).tolist() == [[9, 0], [0, 255]]
