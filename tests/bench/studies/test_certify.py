"""``python -m bench certify``, as a user meets it."""

from __future__ import annotations

import json
import math

import pytest

from bench.__main__ import entry
from tests.helpers.profiles import TINY

PLAIN = TINY.replace("train = 2", "train = 2\nmirror = true")


@pytest.fixture
def certify(tmp_path, capsys):
    """The exit code, the output and the errors of the command on the tiny profile."""
    file = tmp_path / "tiny.toml"
    file.write_text(PLAIN)

    def run(task, solver, *words):
        code = entry(
            [
                *("certify", "--task", task, "--solver", solver),
                *("--profile", str(file), "--device", "cpu", *words),
            ]
        )
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def as_json(certify, task, solver, *words):
    code, out, err = certify(task, solver, "--json", *words)
    assert (code, err, out.count("\n")) == (0, "", 1)
    return json.loads(out)


@pytest.mark.parametrize(
    "solver", ["restarted_jfb(3, 4)", "neumann(40, 20)", "checkpointed(6)", "deq(1e-06)"]
)
@pytest.mark.parametrize("task", ["denoising(huber)", "deblurring(huber)"])
def test_a_rigorous_certificate_and_an_audit_bound_the_actual_error(certify, task, solver):
    found = as_json(certify, task, solver, "--oracle")
    plain, audit = found["certificate_bounds"], found["audit_bounds"]
    assert found["certificate"]["rigorous"]
    assert found["audit"]["found"]["rigorous"]
    slack = 1e-12 * found["exact"]
    assert plain["error"] >= found["error"] - slack
    assert audit["least"] - slack <= found["error"] <= audit["error"] + slack
    # Sharp where the error is not rounding.
    assert audit["error"] <= 3.01 * found["error"] + 1e-8 * found["exact"]
    assert audit["error"] <= 1.01 * plain["error"]
    assert found["counts"]["looks"] > 0
    assert found["counts"]["products"] == 0
    assert found["audit"]["counts"]["products"] > 0


def test_sharp_is_how_far_apart_the_bounds_are(certify):
    for sharp in (0.5, 0.02):
        found = as_json(certify, "deblurring(huber)", "restarted_jfb(3, 4)", "--sharp", str(sharp))
        audit = found["audit_bounds"]
        assert audit["error"] <= 1.001 * (1 + sharp) / (1 - sharp) * audit["least"]
    assert certify("deblurring(huber)", "jfb(3)", "--sharp", "0")[0] == 2


def test_the_work_of_the_step_and_the_parts_of_the_bound_are_those_of_the_call(certify):
    found = as_json(certify, "deblurring(huber)", "restarted_jfb(3, 4)", "--no-audit")
    assert (found["applications"], found["products"], found["audit"]) == (15, 3, None)
    assert found["error"] is None
    assert found["L"] == pytest.approx(1 / 1.02)
    # One look for every application on the tape, none elsewhere.
    assert found["counts"] == {"applications": 0, "products": 0, "looks": 3}
    made = found["certificate"]
    assert found["certificate_bounds"]["error"] == pytest.approx(made["adjoint"] + made["equilibrium"])
    assert found["certificate_bounds"]["relative"] is None  # an infinite bound is null


def test_an_estimate_says_what_it_is_made_of_and_does_not_use_what_the_task_knows(certify):
    known = as_json(certify, "denoising(huber)", "restarted_jfb(2, 4)", "--oracle")
    found = as_json(certify, "denoising(huber)", "restarted_jfb(2, 4)", "--oracle", "--estimate")
    made = found["certificate"]
    assert not made["rigorous"]
    assert not found["audit"]["found"]["rigorous"]
    assert found["counts"]["looks"] == found["audit"]["counts"]["looks"] == 0
    assert found["counts"]["products"] >= 100
    for words in ("50 steps of power iteration", "with residual", "multiplied by 2"):
        assert words in made["why"]
    # ‖J‖ = 1/2.02 here; the estimate is half as far from 1.
    assert known["certificate"]["L"] == pytest.approx(1 / 2.02)
    assert 0.5 < made["L"] <= 1 - (1 - 1 / 2.02) / 2 + 1e-9
    assert found["gradient"] == known["gradient"]
    assert found["certificate_bounds"]["error"] >= found["error"]
    assert found["audit_bounds"]["error"] >= found["error"]


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("deblurring(l1)", "no certificate: L = 1 is not below 1"),
        ("deblurring(dncnn)", "no certificate: L = 1.99 is not below 1"),
        ("deblurring(orientations(coupled=True))", "no certificate: L = 1 is not below 1"),
        (
            "denoising_colour(colours(smoothing=0.01, ridge=0.02, coupled=True))",
            "no certificate: T knows no bounds on its derivatives: --estimate measures them",
        ),
    ],
)
def test_without_a_contraction_there_is_no_certificate_and_no_error_either(certify, task, line):
    code, out, err = certify(task, "jfb(3)")
    assert (code, err) == (0, "")
    assert line in out
    assert "audit" not in out


def test_without_a_contraction_the_json_has_no_certificate(certify):
    found = as_json(certify, "deblurring(l1)", "jfb(3)")
    assert found["refused"] == "no certificate: L = 1 is not below 1"
    assert found["certificate"] is found["certificate_bounds"] is found["audit"] is None


def test_a_coupled_penalty_can_be_estimated(certify):
    task = "denoising_colour(colours(smoothing=0.01, ridge=0.02, coupled=True))"
    found = as_json(certify, task, "jfb(3)", "--estimate", "--oracle")
    assert found["audit_bounds"]["error"] >= found["error"]
    assert not found["certificate"]["rigorous"]


def test_a_map_that_is_measured_to_expand_gets_no_certificate(certify, monkeypatch):
    from bench.measurement.jacobian_norm import JacobianNorm
    from bench.studies.certificates import certified_step

    monkeypatch.setattr(certified_step, "jacobian_norm", lambda *_: JacobianNorm(1.25, 0.0))
    code, out, _ = certify("denoising(huber)", "jfb(3)", "--estimate")
    assert code == 0
    assert "no certificate: L = 1.25 is not below 1" in out


def test_a_peer_is_audited_alone_and_the_table_says_so(certify):
    found = as_json(certify, "deblurring(huber)", "deepinv_deq(20, 10)", "--oracle")
    assert found["certificate"] is None
    assert "external solver" in found["unseen"]
    audit = found["audit_bounds"]
    assert audit["least"] <= found["error"] <= audit["error"] <= 3.01 * found["error"]
    _, out, _ = certify("deblurring(huber)", "deepinv_deq(20, 10)")
    assert "the audit alone" in out
    assert "audit: error, relative" in out


def test_a_solver_that_certifies_itself_shows_its_own_certificate(certify):
    found = as_json(certify, "deblurring(huber)", "certified(0.01)", "--oracle")
    assert found["own"]
    assert found["counts"] is None
    assert found["certificate"]["rigorous"]
    assert found["error"] / found["exact"] <= found["certificate_bounds"]["relative"] <= 0.01
    hidden = as_json(certify, "deblurring(huber)", "certified(0.01)", "--estimate", "--no-audit")
    assert not hidden["certificate"]["rigorous"]


def test_the_table_for_people(certify):
    code, out, _ = certify("denoising(huber)", "restarted_jfb(2, 4)", "--oracle")
    assert code == 0
    lines = {line[:36].strip(): line[36:].strip() for line in out.splitlines()}
    for name in (
        "certificate, absolute",
        "of the adjoint equation",
        "of the equilibrium",
        "cosine at least",
        "L",
    ):
        assert name in lines
    assert lines["kind"] == "rigorous"
    assert lines["step"] == "10 applications + 2 products"
    assert "of a step" in lines["audit: cost"]
    assert float(lines["certificate / actual error"]) >= float(lines["audit / actual error"]) >= 1
    low, high = (float(part.removesuffix(" %")) for part in lines["audit: error, relative"].split(" to "))
    assert low <= float(lines["actual error, relative"].removesuffix(" %")) <= high
    assert math.isclose(float(lines["L"]), 1 / 2.02, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("task", "solver", "words", "message"),
    [
        ("deblur", "jfb(3)", [], "unknown task 'deblur'; did you mean deblurring"),
        ("denoising", "jfb(-3)", [], "N must be at least 0, not -3"),
        ("denoising", "jfb(3)", ["--device", "tpu"], "give cpu, cuda or auto"),
        ("denoising", "jfb(3)", ["--profile", "quik"], "unknown profile 'quik'; did you mean quick"),
        ("denoising", "jfb(3)", ["--images", "/nowhere/at/all"], "no folder"),
        ("denoising(dncnn(layers=3))", "unrolled(3)", [], "it has no equilibrium to certify"),
        ("denoising", "jfb(3)", ["--seed", "-1"], "--seed"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(certify, task, solver, words, message):
    code, out, err = certify(task, solver, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
