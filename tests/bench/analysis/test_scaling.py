"""Exponents of cost: known powers are found, the interval is that of the rounds, and sizes do not mix."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from bench.analysis.scaling import (
    exponent,
    exponent_interval,
    exponents_markdown,
    fitted_exponents,
    sizes,
    transform_exponent,
)
from bench.records.record import Record
from bench.tasks.images import crops, find_images, read_image

CROPS = (64, 128, 256, 512, 1024)


def record(kind, crop, batch, values, solver="jfb(1)", seed=0, status="ok", task="t"):
    settings = {"images": {"crop": crop, "train": batch}, "training": {"batch": batch}}
    key = f"{kind}-{task}-{solver}-{crop}-{batch}-{seed}"
    return Record(key, kind, task, solver, "", seed, status, "", settings, values)


def grown(power, batches=(1,), crop_sizes=CROPS, solver="jfb(1)"):
    """Records of a solver whose seconds are ``(crop² batch)^power`` and whose bytes are ``crop² batch``."""
    found = []
    for crop in crop_sizes:
        for batch in batches:
            n = crop**2 * batch
            memory = {"peak_bytes": 4 * n, "saved_bytes": 2 * n, "applications": 7, "vjps": 3}
            rounds = [1e-6 * n**power * (1 + 0.01 * k) for k in (-1, 0, 1)]
            found.append(record("quality", crop, batch, memory, solver))
            found.append(record("cost", crop, batch, {"seconds": rounds}, solver))
    return found


@given(st.floats(-2, 3), st.floats(0.01, 100))
def test_a_power_is_found_and_its_line_fits(power, scale):
    x = [c**2 for c in CROPS]
    found, error = exponent(x, [scale * n**power for n in x])
    assert found == pytest.approx(power, abs=1e-9)
    assert error == pytest.approx(0, abs=1e-9)


@given(st.lists(st.floats(0.1, 10), min_size=5, max_size=5))
def test_slope_and_standard_error_are_those_of_scipy(factors):
    x = [c**2 for c in CROPS]
    y = [f * n**0.8 for f, n in zip(factors, x, strict=True)]
    known = linregress(np.log(x), np.log(y))
    found, error = exponent(x, y)
    assert found == pytest.approx(known.slope, abs=1e-9)
    assert error == pytest.approx(known.stderr, abs=1e-7)  # scipy's own rounding, where the fit is perfect


def test_two_points_have_no_standard_error():
    assert math.isnan(exponent([1, 2], [1, 2])[1])


def test_an_fft_is_a_little_steeper_than_proportional():
    x = [c**2 for c in CROPS]
    # Between log(n) and log(n) + log log(n): the slope is 1 + 1/log n somewhere in between.
    assert 1 + 1 / math.log(x[-1]) < transform_exponent(x) < 1 + 1 / math.log(x[0])
    assert transform_exponent(x) == pytest.approx(1.092, abs=5e-4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, x = np.random.default_rng(1), [c**2 for c in CROPS]
    inside = 0
    for _ in range(60):
        rounds = [n**0.9 * np.exp(0.1 * rng.standard_normal(25)) for n in x]
        low, high = exponent_interval(x, rounds)
        assert low < exponent(x, [float(np.median(r)) for r in rounds])[0] < high
        inside += low <= 0.9 <= high
    assert 50 <= inside <= 60
    assert exponent_interval(x, rounds) == exponent_interval(x, rounds)
    wide, narrow = ([n * np.exp(s * rng.standard_normal(25)) for n in x] for s in (0.3, 0.01))
    assert np.diff(exponent_interval(x, wide)) > 10 * np.diff(exponent_interval(x, narrow))


def test_exponents_against_pixels_and_against_the_batch_are_kept_apart():
    found = fitted_exponents(sizes(grown(0.8, batches=(1, 4, 32))))
    assert set(zip(found["against"], found["fixed"], strict=True)) == {
        *(("pixels", b) for b in (1, 4, 32)),
        *(("batch", c) for c in CROPS),
    }
    for quantity, power in (("seconds", 0.8), ("peak_mib", 1), ("saved_mib", 1), ("work", 0)):
        part = found[found["quantity"] == quantity]
        assert list(part["exponent"]) == pytest.approx([power] * len(part), abs=1e-9)
    pixels = found[found["against"] == "pixels"]
    assert set(pixels["sizes"]) == {"64, 128, 256, 512, 1024"}
    assert list(pixels["expected"]) == pytest.approx([1.092] * len(pixels), abs=5e-4)
    assert set(found[found["against"] == "batch"]["expected"]) == {1.0}
    seconds = found[found["quantity"] == "seconds"]
    assert ((seconds["low"] <= seconds["exponent"]) & (seconds["exponent"] <= seconds["high"])).all()
    assert found[found["quantity"] != "seconds"]["low"].isna().all()


def test_solvers_and_tasks_have_lines_of_their_own():
    found = fitted_exponents(sizes(grown(0.5) + grown(1.5, solver="deq(1)")))
    seconds = found[found["quantity"] == "seconds"].set_index("solver")["exponent"]
    assert dict(seconds) == {"jfb(1)": pytest.approx(0.5), "deq(1)": pytest.approx(1.5)}
    text = exponents_markdown(found)
    for word in ("## t, against pixels at batch 1", "0.50 ± 0.00 [0.5", "1.092", "n log n", "1.00 ± 0.00"):
        assert word in text


def test_fewer_than_three_sizes_have_no_line():
    assert fitted_exponents(sizes(grown(1, crop_sizes=(64, 128)))).empty
    assert fitted_exponents(sizes([])).empty
    broken = [
        record(r.kind, r.crop, 1, r.values, status="nan") if r.crop == 256 and r.kind == "quality" else r
        for r in grown(1, crop_sizes=(64, 128, 256))
    ]
    assert fitted_exponents(sizes(broken)).empty


def test_what_was_not_timed_has_its_bytes_all_the_same():
    found = fitted_exponents(sizes([r for r in grown(1) if r.kind == "quality"]))
    assert set(found["quantity"]) == {"peak_mib", "saved_mib", "work"}
    assert "—" not in exponents_markdown(found)


def test_small_images_are_mirrored_and_large_ones_are_left_alone():
    files = find_images().train
    (whole,) = crops(files[:1], 1, 512, 1, 0, mirror=True)
    assert whole.equal(read_image(files[0], 1)), "astronaut.png has 512×512"
    (large,) = crops(files[:1], 1, 1024, 1, 0, mirror=True)
    assert large[:, :512, :512].equal(whole)
    assert large[:, 512:, :512].equal(whole.flip(1))
    assert large[:, :512, 512:].equal(whole.flip(2))
    assert crops(files, 3, 64, 6, 3, mirror=True).equal(crops(files, 3, 64, 6, 3))
    (huge,) = crops(files[2:3], 1, 1024, 1, 0, mirror=True)
    assert huge.shape == (1, 1024, 1024), "more than once its own side"
