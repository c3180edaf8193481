"""Figures that print: fonts embedded, no dates."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from bench.report.figure_style import save_figure


def drawn():
    figure, ax = plt.subplots(figsize=(2, 2))
    ax.plot([0, 1], [0, 1], label="‖T(x) − x‖")
    ax.set_title("σ of anderson(1e-4)")
    ax.legend()
    return figure


@pytest.mark.figures
def test_fonts_are_embedded_and_nothing_tells_when_it_was_drawn(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert {file.suffix for file in save_figure(drawn(), "x", tmp_path / name)} == {
            ".png",
            ".pdf",
            ".svg",
        }
    for suffix in ("png", "pdf", "svg"):
        first, second = ((tmp_path / name / f"x.{suffix}").read_bytes() for name in ("a", "b"))
        assert first == second
    pdf = (tmp_path / "a" / "x.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/CIDFontType2" in pdf
    assert b"/FontFile2" in pdf
    assert b"CreationDate" not in pdf
    svg = (tmp_path / "a" / "x.svg").read_text()
    assert ">σ of anderson(1e-4)</text>" in svg
    assert "dc:date" not in svg


def test_a_report_has_every_figure_three_times(run):
    found = {file.name for file in (run / "figures").iterdir()}
    stems = {Path(name).stem for name in found}
    assert found == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "pdf", "svg")}
    assert {"error-against-cost", "psnr-against-work"} <= stems
    for file in (run / "figures").glob("*.pdf"):
        assert b"/Type3" not in file.read_bytes()
