"""What leaves the project: Parquet, figures that print, LaTeX to paste, benchopt's layout, and how to cite."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cffconvert import Citation
from hypothesis import given, settings
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from bench.__main__ import entry
from bench.analysis.tidy import tidy
from bench.records.record import SCHEMA, Record
from bench.records.store import Manifest, Store
from bench.report import latex
from bench.report.benchopt_export import METRICS, OUTCOME, TRAINING, benchopt_rows
from bench.report.bibliography import BY_KEY
from bench.report.figure_style import save_figure
from bench.report.parquet import flat_columns, frame_table, read_parquet, records_table, to_bytes
from bench.report.report import write_report
from bench.report.tables import printable, summarise, to_latex
from bench.utils.errors import UserError

ROOT = Path(__file__).parents[3]
MANIFEST = Manifest("made", "", "i", "cpu", [])


def cell(task, solver, seed=0, **further):
    """The two records of a cell that trained for 4 steps of half a second."""
    known = {"platform": "Linux x86_64", "cores": 2, "threads": 1, "versions": {"numpy": "2.0"}}
    given = {
        "images": {"crop": 8, "train": 1},
        "training": {"batch": 1, "steps": 4},
        "equilibrium": {"tol": 1e-3},
    }
    values = {
        "psnr_trained": [20.0, 22.0],
        "psnr_measurement": [18.0, 18.0],
        "hypergradient_error": 0.25,
        "hypergradient_cosine": -0.5,
        "applications": 3,
        "vjps": 2,
        "saved_bytes": 2**20,
        "contraction": 0.9,
        "converged": True,
    } | further
    key = re.sub(r"\W+", "-", f"{task}-{solver}-{seed}")
    ratios = {"ratios": [1.0, 1.0], "ratios_of_floor": [1.0, 1.0]}
    timing = {"seconds": [0.5, 0.5, 0.5]} | ratios
    return [
        Record(f"q{key}", "quality", task, solver, "", seed, "ok", "", given, values, known),
        Record(f"c{key}", "cost", task, solver, "", seed, "ok", "", given, timing, known),
    ]


LOOKS = {"look_steps": [1, 2, 4], "look_work": [5, 10, 20], "look_psnr": [15.0, None, 21.5]}


def some_cells():
    """Two tasks, of which one has no reference gradient; two seeds; looks at some; a failure."""
    failed = replace(
        cell("deblurring(l1)", "deq(1e-05)", 1)[0], status="oom", reason="out of memory", values={}
    )
    return [
        *cell("deblurring(l1)", "jfb(10)", 0, **LOOKS),
        *cell("deblurring(l1)", "jfb(10)", 1, hypergradient_error=0.3),
        *cell("deblurring(l1)", "restarted_jfb(2, 3)"),
        *cell("inpainting(drunet)", "jfb(10)", hypergradient_error=None, hypergradient_cosine=None),
        failed,
    ]


def folder_of(records, folder):
    store = Store(folder)
    store.claim(Manifest("made", "", "i", "cpu", [record.key for record in records]))
    for record in records:
        store.write(record)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder of ``some_cells`` with its report; do not write into it."""
    folder = folder_of(some_cells(), tmp_path_factory.mktemp("made") / "a run")
    write_report(folder)
    return folder


# Parquet

names = st.sampled_from("abc")
numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
scalars = st.one_of(st.none(), st.booleans(), st.text(max_size=3), numbers)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
tables = st.recursive(
    st.dictionaries(names, values, max_size=3), lambda inner: st.dictionaries(names, st.one_of(values, inner))
)


def plain(found, meant):
    """What a file holds, where a column that no type fits holds JSON."""
    if isinstance(found, str) and not (isinstance(meant, str) and found == meant):
        return json.loads(found)
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(tables, min_size=1, max_size=4))
def test_every_value_of_every_record_comes_back(drawn):
    records = [Record(f"k{i}", "quality", "t", "s", "", i, "ok", "", {}, d) for i, d in enumerate(drawn)]
    written = to_bytes(records_table(records, MANIFEST))
    assert written == to_bytes(records_table(records, MANIFEST))
    table = pq.read_table(io.BytesIO(written))
    rows = table.to_pylist()
    assert [row["key"] for row in rows] == [record.key for record in records]
    for record, row in zip(records, rows, strict=True):
        meant = flat_columns(record)
        for name, value in row.items():
            expected = meant.get(name)
            assert plain(value, expected) == expected if expected is not None else value is None
            if isinstance(value, bool | str):
                assert type(plain(value, expected)) is type(expected)
        assert set(meant) <= set(row)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ([1, None, 2], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([2.5, 1], pa.float64()),
        ([True, None], pa.bool_()),
        ([True, 1], pa.string()),
        ([None, None], pa.null()),
        (["a", 1], pa.string()),
        ([2**63], pa.string()),
        ([2**53 + 1, 0.5], pa.string()),
        ([[1], [], None], pa.list_(pa.int64())),
        ([[1], [2.5, None]], pa.list_(pa.float64())),
        ([[[1]], [[]]], pa.list_(pa.list_(pa.int64()))),
        ([[1], 1], pa.string()),
    ],
)
def test_the_type_of_a_column_does_not_depend_on_what_comes_first(found, kind):
    for order in (found, found[::-1]):
        records = [
            Record(f"k{i}", "cost", "t", "s", "", 0, "ok", "", {}, {"x": x}) for i, x in enumerate(order)
        ]
        assert records_table(records, MANIFEST).schema.field("values.x").type == kind


def test_the_table_of_records_has_every_kind_with_names_of_dots_and_what_it_belongs_to(run):
    records = some_cells()
    table = pq.read_table(run / "tables" / "records.parquet")
    assert table.schema.metadata[b"eqgrad.schema"] == str(SCHEMA).encode()
    assert table.schema.metadata[b"eqgrad.profile"] == b"made"
    frame = read_parquet(run / "tables" / "records.parquet")
    assert list(frame["key"]) == [record.key for record in records]
    assert list(frame["kind"].unique()) == ["quality", "cost"]
    assert list(frame["status"])[-1] == "oom"
    assert list(frame["reason"])[-1] == "out of memory"
    assert frame["settings.training.steps"].dropna().eq(4).all()
    assert list(frame["values.look_psnr"][0][[0, 2]]) == [15.0, 21.5]
    assert frame["provenance.versions.numpy"].dropna().eq("2.0").all()
    assert frame.columns[:8].tolist() == [
        "key",
        "kind",
        "task",
        "solver",
        "composition",
        "seed",
        "status",
        "reason",
    ]


def test_the_parquet_can_be_rebuilt_and_damaged_records_are_left_out(run, tmp_path):
    folder = folder_of(some_cells(), tmp_path / "other")
    write_report(folder)
    for name in ("records.parquet", "cells.parquet", "references.bib"):
        before = (run / "tables" / name).read_bytes()
        assert (folder / "tables" / name).read_bytes() == before
        (folder / "tables" / name).unlink()
    record = folder / "rows" / "qdeblurring-l1-jfb-10-1.json"
    record.write_text(record.read_text()[:-9])
    write_report(folder)
    frame = read_parquet(folder / "tables" / "records.parquet")
    assert len(frame) == len(some_cells()) - 1
    assert record.stem not in set(frame["key"])
    assert len(read_parquet(folder / "tables" / "cells.parquet")) == 4


def test_a_frame_keeps_infinities_and_what_is_not_known():
    frame = pd.DataFrame({"a": [float("-inf"), float("nan")], "b": ["x", "y"], "c": [True, False]})
    read = pq.read_table(io.BytesIO(to_bytes(frame_table(frame, MANIFEST)))).to_pandas()
    pd.testing.assert_frame_equal(read, frame)


def test_what_is_no_parquet_says_how_to_write_it(tmp_path):
    file = tmp_path / "run" / "tables" / "records.parquet"
    for content in (None, b"not parquet"):
        if content is not None:
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
        with pytest.raises(UserError, match=rf"python -m bench report {tmp_path / 'run'}'"):
            read_parquet(file)


# Figures


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


# LaTeX

# Without hyphens and quotes, of which TeX makes ligatures.
letters = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="-`'"), min_size=1)


@settings(max_examples=200, deadline=None)
@given(letters)
def test_escaped_text_prints_as_it_was(text):
    found = latex.escape(text)
    LatexWalker(found, tolerant_parsing=False).get_latex_nodes()
    assert LatexNodes2Text().latex_to_text(found).replace("ˆ", "^") == text


def test_only_a_minus_before_a_number_is_one():
    assert latex.escape("-0.5") == "$-$0.5"
    assert latex.escape("0.1 ± -2") == r"0.1 $\pm$ $-$2"
    assert latex.escape("1e-10") == "1e-10"
    assert latex.escape("restarted-2 (a-3)") == "restarted-2 (a-3)"
    assert latex.escape("< 1e-10") == "$<$ 1e-10"


def parsed(text):
    """Of each part of the one table in ``text``, the alignment and the rows as cells; its environments are balanced."""
    nodes, _, _ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    (table,) = (node for node in nodes if isinstance(node, LatexEnvironmentNode))
    assert table.environmentname == "table"
    parts = []
    for part in text.split(r"\begin{tabular}")[1:]:
        (align,) = re.findall(r"^\{([lrc]+)\}$", part, flags=re.MULTILINE)
        body = part.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
        rows = [line for line in body.splitlines() if line.strip() and line != r"\midrule"]
        assert all(row.endswith(r" \\") for row in rows)
        parts.append((align, [re.split(r"(?<!\\)&", row.removesuffix(r" \\")) for row in rows]))
    return parts


def test_a_table_is_ready_to_paste(run):
    files = sorted((run / "tables").glob("*.tex"))
    assert [file.stem for file in files] == ["deblurring-l1", "inpainting-drunet"]
    cited = (run / "tables" / "references.bib").read_text()
    for file in files:
        text = file.read_text()
        assert text.isascii()
        assert text.startswith(latex.NEEDS)
        packages = set(re.findall(r"\\usepackage\{(\w+)\}", text))
        assert packages == {"booktabs", "adjustbox"}
        (keys,) = re.findall(r"^% .*\\cite\{(.*)\}$", text, flags=re.MULTILINE)
        assert all(f"{{{key}," in cited for key in keys.split(","))
        for word in (r"\caption{", rf"\label{{tab:{file.stem}}}"):
            assert text.count(word) == 1
        parts = parsed(text)
        for word in (r"\toprule", r"\midrule", r"\bottomrule"):
            assert text.count(word) == len(parts)
        for align, rows in parts:
            assert {len(row) for row in rows} == {len(align)}
            assert len(align) <= latex.WIDEST
            assert rows[1][0].strip() == "jfb(10)"
    assert r"restarted\_jfb(2, 3)" in files[0].read_text()
    assert "$-$0.5000" in files[0].read_text()


def test_the_best_and_only_the_best_are_bold():
    frame = tidy(
        [*cell("denoising(l1)", "jfb(1)"), *cell("denoising(l1)", "jfb(2)", hypergradient_error=0.1)]
    )
    text, best = printable(summarise(frame), "denoising(l1)")
    (_, (titles, *rows)) = parsed(to_latex(text, best, "denoising(l1)"))[0]
    column = [title.strip() for title in titles].index("gradient error")
    assert [row[column].strip() for row in rows] == ["2.5e-01", r"\textbf{1.0e-01}"]


@pytest.mark.parametrize("columns", [1, 2, 9, 10, 15, 17, 18])
def test_a_wide_table_goes_on_below_and_loses_no_column(columns):
    frame = pd.DataFrame({f"c{i}": [f"a{i}", f"b{i}"] for i in range(columns)})
    parts = parsed(latex.latex_table(frame, latex.Heading("c", "d"), "l" + "r" * (columns - 1)))
    assert len(parts) == (1 if columns <= 9 else 2 if columns <= 17 else 3)
    for row in range(3):
        cells = [[cell.strip() for cell in rows[row]] for _, rows in parts]
        first = ("c0", "a0", "b0")[row]
        assert all(one[0] == first for one in cells)
        assert [cell for one in cells for cell in one[1:]] == [f"{'cab'[row]}{i}" for i in range(1, columns)]
    assert all(align == "l" + "r" * (len(align) - 1) and len(align) <= 9 for align, _ in parts)


def test_a_table_that_does_not_align_every_column_is_refused():
    with pytest.raises(ValueError, match="2 alignments for 1 columns"):
        latex.latex_table(pd.DataFrame({"a": ["b"]}), latex.Heading("c", "d"), "lr")


# BibTeX


def test_the_report_cites_what_stands_in_its_tables_and_nothing_else(run):
    text = (run / "tables" / "references.bib").read_text()
    found = set(re.findall(r"^@\w+\{(\w+),$", text, flags=re.MULTILINE))
    assert found == {
        "fung2022jfb",
        "davy2025restarted",
        "bai2019deep",
        "walker2011anderson",
        "daubechies2004iterative",
        "zhang2022plug",
    }
    end = (run / "tables" / "tables.md").read_text().partition("*Sources*")[2]
    assert "- `jfb`: fung2022jfb\n" in end
    assert "- `drunet`: zhang2022plug\n" in end
    assert set(re.findall(r"\w+\d{4}\w+", end)) == found


# benchopt


def test_rows_are_those_of_benchopt():
    frame = benchopt_rows(some_cells())
    once, curves = frame[frame["objective_name"] == OUTCOME], frame[frame["objective_name"] == TRAINING]
    assert len(once) == 4
    first = once.iloc[0]
    assert (first["dataset_name"], first["solver_name"], first["idx_rep"]) == ("deblurring(l1)", "jfb(10)", 0)
    assert (first["stop_val"], first["time"]) == (4, 2.0)
    assert (first["objective_value"], first["objective_psnr"]) == (0.25, 21.0)
    assert first["solver_description"]
    assert once["sampling_strategy"].eq("Run_once").all()
    assert list(curves["stop_val"]) == [1, 2, 4]
    assert list(curves["time"]) == [0.5, 1.0, 2.0]
    assert list(curves["objective_psnr"].fillna(0)) == [15.0, 0.0, 21.5]
    at_the_end = [name for name in METRICS if name in frame and name != "objective_psnr"]
    assert len(at_the_end) > 3
    assert curves[at_the_end].isna().all(axis=None), "what is known at the end alone is not on a curve"
    assert set(curves["idx_rep"]) == {0}
    assert "objective_ssim" not in frame, "nothing of it was measured"
    assert {name for name in frame if name.startswith("objective_")} <= {*METRICS, "objective_name"}
    assert not frame["solver_name"].eq("deq(1e-05)").any(), "it failed"


def test_what_was_not_timed_or_trained_is_exported_all_the_same():
    (quality, _) = cell("deblurring(l1)", "jfb(10)")
    quality.settings["training"]["steps"] = 0
    (row,) = benchopt_rows([quality]).to_dict("records")
    assert (row["stop_val"], row["time"]) == (1, pytest.approx(float("nan"), nan_ok=True))
    timed = benchopt_rows([quality, cell("deblurring(l1)", "jfb(10)")[1]])
    assert list(timed["time"]) == [0.5], "of one step"
    assert "version-numpy" in benchopt_rows([replace(quality, provenance={})]), "benchopt asks for it"


def test_benchopt_plots_what_was_exported(run, tmp_path):
    out = tmp_path / "plots"
    assert entry(["export", str(run), "--benchopt", str(out)]) == 0
    assert [file.name for file in (out / "outputs").iterdir()] == ["a-run.parquet"]
    before = (out / "outputs" / "a-run.parquet").read_bytes()
    assert entry(["export", str(run), "--benchopt", str(out)]) == 0
    assert (out / "outputs" / "a-run.parquet").read_bytes() == before
    done = subprocess.run(
        [sys.executable, "-m", "benchopt", "plot", str(out), "--no-display"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    page = (out / "outputs" / "eqgrad_a-run.html").read_text()
    (plots,) = re.findall(r"window\._plots = (\{.*\});", page)
    found = json.loads(plots)
    curve = found["objective_curve"][f"objective_curve_deblurring(l1)_{TRAINING}_objective_psnr_Time"]
    (line,) = curve["data"]
    assert (line["label"], line["x"]) == ("jfb(10)", [0.5, 1.0, 2.0])
    boxes = found["boxplot"][f"boxplot_deblurring(l1)_{OUTCOME}_objective_value_Solver_Objective Metric"]
    assert {box["label"]: sorted(box["y"][0]) for box in boxes["data"]} == {
        "jfb(10)": [0.25, 0.3],
        "restarted_jfb(2, 3)": [0.25],
    }
    table = found["table"][f"table_inpainting(drunet)_{OUTCOME}"]
    assert [row[0] for row in table["data"]] == ["jfb(10)"]
    assert "Linux" in page


def test_runs_share_a_folder_and_nothing_else_is_overwritten(run, tmp_path, capsys):
    other = folder_of(cell("deblurring(l1)", "jfb(1)"), tmp_path / "second")
    for folder in (run, other):
        assert entry(["export", str(folder), "--benchopt", str(tmp_path / "out")]) == 0
    assert {file.stem for file in (tmp_path / "out" / "outputs").iterdir()} == {"a-run", "second"}
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "objective.py").write_text("class Objective: pass\n")
    (tmp_path / "file").write_text("")
    failed = folder_of(some_cells()[-1:], tmp_path / "failed")
    capsys.readouterr()
    for folder, out, message in (
        (run, "theirs", "holds another benchmark: choose another folder"),
        (run, "file", "is a file: choose a folder"),
        (failed, "new", "there is nothing to plot"),
        (tmp_path / "theirs", "new", "holds no run"),
    ):
        assert entry(["export", str(folder), "--benchopt", str(tmp_path / out)]) == 2
        said = capsys.readouterr()
        assert message in said.err
        assert said.err.count("\n") == 1
        assert not said.out
    assert (tmp_path / "theirs" / "objective.py").read_text() == "class Objective: pass\n"
    assert not (tmp_path / "new").exists()


# Citation


def test_the_citation_file_is_valid_and_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    citation = Citation(text)
    citation.validate()
    found = citation.cffobj
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert found["title"] == project["name"]
    assert found["version"] == project["version"]
    assert found["license"] == project["license"]
    assert found["keywords"] == project["keywords"]
    (paper,) = found["references"]
    core = BY_KEY["davy2025restarted"]
    assert paper["title"] == core.fields["title"]
    assert str(paper["year"]) == core.fields["year"]
    assert paper["identifiers"][0]["value"] == f"arXiv:{core.eprint}"
    names = (f"{author['family-names']}, {author['given-names']}" for author in paper["authors"])
    assert " and ".join(names) == core.author
