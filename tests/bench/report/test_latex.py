"""LaTeX tables ready to paste."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from bench.analysis.tidy import tidy
from bench.report import latex
from bench.report.summary import printable, summarise
from bench.report.tables import to_latex
from tests.helpers.cells import cell

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
