"""The command that measures a gradient by several operators."""

from __future__ import annotations

from skimage import data
from skimage.io import imsave
from typer.testing import CliRunner

from bench.denoisers.weights import weight_bytes
from bench.operators import admm, forward_backward
from bench.regularisers import crr
from bench.studies.published import splittings
from solvers import CG, Anderson, ProxCG, QuasiNewton, implicit


def test_the_command_prints_a_row_for_each_operator(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        imsave(tmp_path / "images" / f"{name}.png", data.camera()[100:132, 200:232])
    (tmp_path / "weights.safetensors").write_bytes(weight_bytes(crr().family.build(), "crr"))
    rows = (
        (forward_backward(), implicit(QuasiNewton(1e-9), CG(1e-6))),
        (admm(), implicit(Anderson(1e-8, 2000), ProxCG(1e-6))),
    )
    monkeypatch.setattr(splittings, "ROWS", rows)
    words = ["--weights", tmp_path / "weights.safetensors", "--images", tmp_path / "images", "--crop", 16]
    result = CliRunner().invoke(splittings.app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("|")][2:]
    assert ["gradient step" in line for line in lines] == [True, False]
    for line in lines:
        assert "not converged" not in line
        assert float(line.split("|")[-2].replace("%", "")) < 0.2
