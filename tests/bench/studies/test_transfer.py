"""The table of trained regularisers on other measurements."""

from __future__ import annotations

import torch
from skimage import data
from skimage.io import imsave
from typer.testing import CliRunner

from bench.config.lookup import parse_task
from bench.studies.regulariser_training import transfer
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images

LAYOUT = Layout(crop=32, train=1, test=1)


def problem(task):
    return build_problem(parse_task(task), find_images(None), LAYOUT, 0)


def test_a_climb_ends_at_the_maximum_or_at_the_end():
    asked = []

    def value(k):
        asked.append(k)
        return -((k + 3) ** 2)

    assert transfer.climb(value, 0, -20) == -3
    assert max(asked) == 0 or max(asked) == 1
    assert transfer.climb(value, -7, -20) == -3
    assert transfer.climb(lambda k: -k, 0, -4) == -4


def test_a_factor_is_on_the_regulariser_or_on_the_weights():
    for task in ("denoising(crr)", f"denoising({transfer.PENALTY})"):
        P = problem(task)
        x = torch.rand(1, 1, 32, 32)
        if "crr" in task:
            before = P.operator.regulariser.energy(x).detach()
            transfer.scaled(P, 0.7)
            after = P.operator.regulariser.energy(x).detach()
            torch.testing.assert_close(after, before * torch.tensor(0.7).exp())
        else:
            before = P.operator.prior.log_weights.detach().clone()
            transfer.scaled(P, 0.7)
            torch.testing.assert_close(P.operator.prior.log_weights.detach(), before + 0.7)


def test_tuning_is_judged_on_the_test_crops_alone(monkeypatch):
    """The score of a factor is highest at 1/4 on the training crop; that of the test crop is not asked for."""
    P = problem("denoising(crr)")
    start = float(P.operator.regulariser.strength.detach())

    def scores(of, batch, solver):
        logarithm = float(of.operator.regulariser.strength.detach()) - start
        training = torch.equal(batch.truth, of.train.truth)
        value = -((logarithm / torch.tensor(2.0).log() + 2) ** 2) if training else torch.tensor(7.0)
        return value[None], True

    monkeypatch.setattr(transfer, "scores", scores)
    found = transfer.tuned(lambda: problem("denoising(crr)"), transfer.solver_of("crr"), 2)
    assert (found.factor, found.converged, float(found.test)) == (0.25, True, 7.0)


def test_the_command_writes_a_table(tmp_path, monkeypatch):
    for name in ("tune", "test"):
        (tmp_path / name).mkdir()
        imsave(tmp_path / name / "camera.png", data.camera()[100:164:2, 200:264:2])
    monkeypatch.setattr(transfer, "MEASUREMENTS", ("denoising({})",))
    monkeypatch.setattr(transfer, "SMALLEST", -1)
    words = ["--images", tmp_path / "tune", "--test", tmp_path / "test", "--out", tmp_path / "out"]
    words += ["--tune", 1, "--crop", 32, "--halvings", 1]
    result = CliRunner().invoke(transfer.app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    header, _, line = (tmp_path / "out" / "transfer.md").read_text().splitlines()
    assert "crr, unchanged" in header
    assert f"{transfer.PENALTY}, tuned" in header
    start, unchanged, best, wavelet = (float(cell.split()[0]) for cell in line.split("|")[2:6])
    assert start < wavelet < best
    assert unchanged <= best + 0.2
