"""Published gradients: the weights of a folder, the rows, resuming, PSNR, and the command."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from bench.__main__ import entry
from bench.external.learned_regularizers import study_ift, study_jfb
from bench.measurement.training import training_step
from bench.regularisers import REGULARISERS
from bench.studies.gradients import parameter_gradient
from bench.studies.published import measure as measuring
from bench.studies.published import study
from bench.studies.published.measure import Basis, measure
from bench.studies.published.psnr import scores
from bench.studies.published.reference import LOOSE, TIGHT, reference_of
from bench.studies.published.report import summary_table
from bench.studies.published.rows import ROWS, Row
from bench.studies.published.study import Plan, published_study, published_tables
from bench.studies.published.weights import OF_THE_STUDY, published_weights
from bench.tasks import build_problem
from bench.tasks.images import Layout
from bench.utils.errors import UserError
from solvers import CG, QuasiNewton, certified, implicit, jfb
from tests.helpers.problems import packaged_images
from tests.helpers.tensors import F64

LAYOUT = Layout(24, 1, 1)
FAST = (Row("test", study_jfb(1e-2)), Row("test", implicit(QuasiNewton(1e-6), CG(1e-5))))


def save_weights(folder, family, name):
    """The initial parameters of a regulariser, with the names of the study."""
    family = REGULARISERS[family]().family
    state = {
        family.study_names[key]: value.float().contiguous()
        for key, value in family.build().state_dict().items()
    }
    save_file(state, folder / f"{name}.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("weights")
    for family in OF_THE_STUDY:
        save_weights(found, family, f"{family}_tiny")
    save_file({"foreign": torch.zeros(2)}, found / "foreign.safetensors")
    return found


@pytest.fixture(scope="module")
def weights(folder):
    return published_weights(folder)


@pytest.fixture(scope="module")
def problem(weights):
    return build_problem(weights[0].task, packaged_images(), LAYOUT, 0, dtype=F64)


@pytest.fixture(scope="module")
def reference(problem, tmp_path_factory):
    return reference_of(problem, tmp_path_factory.mktemp("reference") / "r.safetensors")


def plan(weights, rows=FAST, **changes):
    return Plan(weights, packaged_images(), LAYOUT, rows=rows, **changes)


def test_keys_tell_a_family_and_names_those_that_share_keys(folder, tmp_path):
    assert [(each.name, each.family) for each in published_weights(folder)] == [
        (f"{family}_tiny", family) for family in ("crr", "icnn", "wcrr")
    ]
    save_weights(tmp_path, "icnn", "crr_in_name_alone")
    assert [each.family for each in published_weights(tmp_path)] == ["icnn"]


def test_the_reference_is_kept_and_is_that_of_tight_solves(problem, reference, tmp_path):
    assert reference.error < 1e-6
    assert 0.1 < reference.energy_share < 2
    training_step(implicit(QuasiNewton(1e-12, 3000), CG(1e-10, 2000)), problem, problem.train)
    exact = parameter_gradient(problem)
    assert float((exact - reference.gradient).norm() / exact.norm()) < 1e-6
    assert LOOSE != TIGHT
    file = tmp_path / "r.safetensors"
    first = reference_of(problem, file)
    again = reference_of(None, file)  # not computed again
    assert torch.equal(first.gradient, again.gradient)
    assert (first.error, first.energy_share) == (again.error, again.energy_share)


def test_a_row_is_held_against_the_reference(problem, reference):
    values = measure(FAST[1], problem, reference)
    assert values.error < 1e-2
    assert values.cosine > 0.9999
    assert values.scaled <= values.error * (1 + 1e-9)
    assert values.basis == Basis.NONE.value
    assert math.isnan(values.stated)
    assert values.converged
    assert values.applications > 5
    assert values.vjps > 5
    half = replace(reference, gradient=reference.gradient * 2)
    assert measure(FAST[1], problem, half).error == pytest.approx(0.5, abs=1e-2)
    assert measure(FAST[1], problem, half).scaled == pytest.approx(values.scaled, abs=1e-6)


def test_errors_are_stated_by_the_bounds_of_the_regulariser(problem, reference):
    """Those of crr are proven."""
    own = measure(Row("test", certified(0.1)), problem, reference)
    assert own.basis == Basis.OWN.value
    assert own.error <= own.stated <= 0.1
    audited = measure(Row("test", study_ift(1e-2), audited=True), problem, reference)
    assert audited.basis == Basis.AUDIT.value
    assert audited.error <= audited.stated <= 5 * audited.error
    assert own.rigorous
    assert audited.rigorous
    plain = measure(Row("test", study_ift(1e-2)), problem, reference)
    assert (plain.applications, plain.vjps, plain.error) == (
        audited.applications,
        audited.vjps,
        audited.error,
    )


def test_errors_of_a_regulariser_without_proven_bounds_are_estimates(weights):
    (icnn,) = [of for of in weights if of.family == "icnn"]
    there = build_problem(icnn.task, packaged_images(), LAYOUT, 0, dtype=F64)
    solution, _ = training_step(certified(0.1), there, there.train)
    assert solution.certificates[-1].error < math.inf
    assert not solution.certificates[-1].rigorous


def test_all_rows_are_different():
    assert len({row.identity for row in ROWS}) == len({row.solver.label for row in ROWS}) == len(ROWS)


def test_a_study_is_measured_once(weights, tmp_path, monkeypatch):
    told = []
    files = published_study(
        plan(weights[:1], photographs=[packaged_images()], side=24), tmp_path, told.append
    )
    assert len(told) == 3
    names = {file.name for file in files}
    assert names >= {"published.md", "gradients.csv", "summary.parquet", "psnr.csv", "published.png"}
    assert all(file.is_file() for file in files)
    text = (tmp_path / "published.md").read_text()
    frame = pd.read_csv(tmp_path / "gradients.csv")
    assert frame["peer"].tolist() == [True, False]
    assert frame["products"].tolist() == pytest.approx((frame["applications"] + frame["vjps"]).tolist())

    def again(*arguments):
        raise AssertionError("measured again")

    monkeypatch.setattr(study, "measure", again)
    monkeypatch.setattr(study, "scores", again)
    published_study(plan(weights[:1], photographs=[packaged_images()], side=24), tmp_path)
    assert (tmp_path / "published.md").read_text() == text
    with pytest.raises(AssertionError, match="measured again"):
        published_study(plan(weights[:1], (Row("test", jfb(3)),)), tmp_path)


def test_tables_name_what_is_not_measured(weights, tmp_path):
    photographs = packaged_images()
    few = plan(weights[:2], FAST[:1])
    published_study(few, tmp_path)
    whole = replace(few, weights=weights, rows=FAST, photographs=[photographs], first=2, side=24)
    published_study(replace(whole, weights=weights[:1], photographs=()), tmp_path)
    files = published_tables(whole, tmp_path)
    assert {file.name for file in files} >= {"published.md", "published.png"}
    assert not (tmp_path / "psnr.csv").exists()
    text = (tmp_path / "published.md").read_text()
    assert f"- {weights[1].name}, seed 0: `{FAST[1].solver.label}`\n" in text
    assert f"- {weights[2].name}, seed 0: all rows\n" in text
    images = f"a crop of 24×24 of each of the first 2 by name of the 10 images of {photographs.source}"
    assert all(f"- {each.name}: PSNR of {images}\n" in text for each in weights)
    assert len(pd.read_csv(tmp_path / "gradients.csv")) == 3
    published_study(replace(whole, weights=weights[:1], photographs=()), tmp_path)
    assert "Not measured" not in (tmp_path / "published.md").read_text()


def test_a_row_of_some_weight_files_says_so():
    row = {"source": "test", "applications": 3.0, "vjps": 1.0, "products": 4.0, "cosine": 0.5, "scaled": 0.8}
    row |= {"error": 0.3, "error_least": 0.2, "error_most": 0.4}
    rows = pd.DataFrame([row | {"estimator": "a", "files": 3}, row | {"estimator": "b", "files": 2}])
    table = summary_table(rows)
    assert "| `a` " in table
    assert "| `b`, 2 of 3 files |" in table


def test_the_first_images_by_name_are_scored(weights, tmp_path):
    photographs = packaged_images()
    first = plan(weights[:1], FAST[:1], photographs=[photographs], first=1, side=24)
    names = sorted(file.name for file in (*photographs.train, *photographs.test))
    published_study(first, tmp_path)
    stored = [json.loads(file.read_text()) for file in (tmp_path / "measured").iterdir()]
    (scored,) = [content for content in stored if "psnr" in content]
    assert scored["images"] == names[:1]
    everything = replace(first, first=None)
    assert everything.psnr_images(photographs)[:1] == first.psnr_images(photographs)
    assert everything.psnr_file(tmp_path, weights[0], photographs) != first.psnr_file(
        tmp_path, weights[0], photographs
    )


@pytest.mark.misuse("tables of published gradients of an empty folder", "refused: UserError")
def test_tables_of_nothing_are_refused(weights, tmp_path):
    with pytest.raises(UserError, match="holds no gradient at these weights"):
        published_tables(plan(weights), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.misuse("a damaged file of a measured gradient", "right: the row is measured again")
def test_a_damaged_row_is_measured_again(weights, tmp_path):
    rows = (Row("test", jfb(3)),)
    published_study(plan(weights[:1], rows), tmp_path)
    (file,) = (tmp_path / "measured").iterdir()
    whole = json.loads(file.read_text())["gradient"]
    assert whole["stated"] is None
    file.write_text(file.read_text()[:100])
    told = []
    published_study(plan(weights[:1], rows), tmp_path, told.append)
    assert len(told) == 1
    assert json.loads(file.read_text())["gradient"]["error"] == whole["error"]


def test_psnr_barely_moves_where_a_solve_goes_on(weights):
    found = scores(weights[0].task, packaged_images().test[:2], 24, 0)
    assert found.noisy == pytest.approx(20, abs=1)  # noise of 0.1
    assert abs(found.advised - found.exact) <= found.largest < 0.02
    assert found.applications > 3


@pytest.mark.misuse(
    "the reference gradient of a study that cannot be solved far enough",
    "refused: UserError with the residual",
)
def test_no_reference_is_told(problem, tmp_path, monkeypatch):
    short = implicit(QuasiNewton(1e-13, 3), CG(1e-11, 3))
    monkeypatch.setattr("bench.studies.published.reference.LOOSE", short)
    monkeypatch.setattr("bench.studies.published.reference.TIGHT", short)
    with pytest.raises(UserError, match="no reference gradient"):
        reference_of(problem, tmp_path / "r.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_the_tables(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study, "ROWS", FAST)
    monkeypatch.setattr(measuring, "AUDIT", 50)
    monkeypatch.setattr(Plan.__init__, "__defaults__", (1, FAST, (), None, 128))
    code = entry(
        [
            *("published", "--weights", str(folder), "--out", str(tmp_path), "--only", "crr_tiny"),
            *("--crop", "24", "--crops", "1"),
        ]
    )
    assert code == 0
    printed = capsys.readouterr().out.split()
    assert str(tmp_path / "published.md") in printed
    frame = pd.read_csv(tmp_path / "gradients.csv")
    assert set(frame["weights"]) == {"crr_tiny", "wcrr_tiny"}
    assert len(frame) == 4
    (tmp_path / "gradients.csv").unlink()
    monkeypatch.setattr(study, "measure", None)
    arguments = (
        "published",
        "--weights",
        str(folder),
        "--out",
        str(tmp_path),
        "--crop",
        "24",
        "--crops",
        "1",
    )
    assert entry([*arguments, "--report"]) == 0
    assert len(pd.read_csv(tmp_path / "gradients.csv")) == 4
    assert "- icnn_tiny, seed 0: all rows" in (tmp_path / "published.md").read_text()


@pytest.mark.misuse(
    "published gradients of no weights or images that fit", "refused: exit code 2 and one line"
)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--weights", "/nowhere"], "/nowhere"),
        (["--weights", "EMPTY"], "holds no weights"),
        (["--weights", "FOREIGN"], "has the keys of crr, wcrr, icnn"),
        (["--weights", "NAMELESS"], "begin its name with one of them"),
        (["--weights", "DAMAGED"], "damaged"),
        (["--weights", "GOOD", "--only", "tdv"], "no weight file has 'tdv' in its name"),
        (["--weights", "GOOD", "--images", "/nowhere"], "/nowhere"),
        (["--weights", "GOOD", "--psnr", "/nowhere"], "/nowhere"),
        (["--weights", "GOOD", "--crop", "4"], "--crop"),
        (["--weights", "GOOD", "--crop", "4096"], "smaller than the crops"),
    ],
)
def test_bad_input_is_one_line(folder, tmp_path, capsys, arguments, said):
    for name in ("EMPTY", "FOREIGN", "NAMELESS", "DAMAGED", "GOOD"):
        (tmp_path / name).mkdir()
    save_file({"foreign": torch.zeros(2)}, tmp_path / "FOREIGN" / "a.safetensors")
    save_weights(tmp_path / "NAMELESS", "crr", "ridge")
    save_weights(tmp_path / "GOOD", "crr", "crr")
    (tmp_path / "DAMAGED" / "crr.safetensors").write_bytes(b"nothing")
    arguments = [str(tmp_path / word) if word.isupper() else word for word in arguments]
    assert entry(["published", "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
