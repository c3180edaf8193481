"""Every number of README is a setting that is listed here, or one that records give; so are comparisons."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from bench.__main__ import entry
from bench.analysis.tidy import tidy
from bench.config.call_syntax import family
from bench.records.store import Store
from bench.studies.quoted import blocks, pages, prose, references
from bench.utils.provenance import ROOT
from tests.docs.pages import agree

README = (ROOT / "README.md").read_text(encoding="utf-8")
GIVEN = {
    "arXiv 2506.13239": "a paper",
    "arxiv.org/abs/2506.13239": "a paper",
    "(10 minutes on": "how long a command takes",
    "(58 minutes on": "how long a command takes",
    "2 cores": "the machine of the references",
    "Python 3.11": "a version",
    "BSD-3-Clause": "a licence",
    "256×256 colour": "a profile",
    "256×256": "a profile",
    "float64": "a type",
    "within 1 %": "what was asked for",
    "below 1 %": "what was asked for",
    "64² to 1024²": "a profile",
    "at 10 × the depth": "a column",
    "At 10 × the depth": "a column",
    "of 10 layers": "an argument",
    "L = 0.995": "a task",
}
"""Numbers that no record decides, with what they are of."""
NUMBER = re.compile(r"\d+(?:[.,×]\d+)*")


def unaccounted(page: str, text: str) -> list[str]:
    """The numbers of a page that stand in no code, in no quote, and in nothing that is given."""
    text = pages.BLOCK.sub("", text)
    for quote in (*prose.QUOTES, *prose.CLAIMS):
        if quote.page == page:
            text = pages.pattern(quote.text).sub("", text)
    text = re.sub(r"^(?: {4}|\$).*$", "", text, flags=re.M)  # blocks of code
    text = re.sub(r"<!--.*?-->|```.*?```|`[^`]*`", "", text, flags=re.S)
    for words in sorted(GIVEN, key=len, reverse=True):
        text = re.sub(r"\s+".join(map(re.escape, words.split())), "", text)
    return NUMBER.findall(text)


def test_readme_and_docs_say_what_the_records_hold():
    assert pages.problems() == []


def test_every_number_of_readme_is_accounted_for():
    assert unaccounted("README.md", README) == []


def test_a_number_that_nobody_measured_would_be_seen():
    assert unaccounted("README.md", README + "\nIt is 17 times as fast.\n") == ["17"]
    assert unaccounted("docs/choosing.md", "It takes 3.5 s, or 12 %.") == ["3.5", "12"]


@pytest.mark.parametrize("quote", prose.QUOTES, ids=lambda quote: quote.text[:40])
def test_another_number_in_a_quote_would_be_seen_and_is_written_again(quote):
    text = (ROOT / quote.page).read_text(encoding="utf-8")
    found = pages.pattern(quote.text).search(text)
    assert found is not None
    for place in range(1, len(found.groups()) + 1):
        start, end = found.span(place)
        wrong = text[:start] + "77.7" + text[end:]
        assert pages.rewritten(quote.page, wrong) == pages.rewritten(quote.page, text)


def test_a_row_of_a_table_that_was_touched_is_written_again():
    assert README.count("<!-- quoted: ") == 2
    touched = README.replace("| `certified(", "| `certified(1e-99, ", 1)
    assert touched != README
    assert pages.rewritten("README.md", touched) == README


def test_a_sentence_that_is_gone_is_told():
    with pytest.raises(LookupError, match="stands there 0 times"):
        pages.rewritten("README.md", README.replace("with Broyden", "and Broyden"))


def test_a_sentence_that_the_records_do_not_bear_out_is_told(monkeypatch):
    wrong = replace(prose.CLAIMS[0], holds=lambda: False)
    monkeypatch.setattr(pages, "CLAIMS", (wrong,))
    assert [line for line in pages.problems() if "do not bear out" in line]


def test_the_settings_that_docs_advise_for_one_per_cent_are_within_it():
    """Read from the page, and looked up in the records: on every task of the table that they are drawn from."""
    text = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    named = re.search(r"- \*\*`([^`]+)`\*\* or \*\*`([^`]+)`\*\*: the cheapest", text)
    default = re.search(r"else \*\*`([^`]+)`\*\*", text)
    assert named
    assert default
    frame = tidy(Store(references.REFERENCE / "pareto-cpu").records())
    for solver in {*named.groups(), default[1]}:
        part = frame[(frame["solver"] == solver) & frame["task"].str.contains("huber")]
        assert len(part) >= len(blocks.TASKS)
        assert (part["hypergradient_error"] <= 0.01).all(), solver
        if "hypergradient_error_worst" in part:
            assert (part["hypergradient_error_worst"] <= 0.01).all(), solver


def test_the_rows_of_readme_are_those_of_the_table_of_the_run():
    """Our solvers and the others' are tuned by one rule, on the first column, and never again for another."""
    table = pages.BLOCK.search(README)
    assert table is not None
    rows = [line for line in table[3].splitlines() if line.startswith("| `")]
    firsts = [float(re.findall(r"\(([\d.]+) %\)", row)[0]) for row in rows]
    assert all(first <= 1 for first in firsts)
    calls = [re.match(r"\| `([^`]+)`", row) for row in rows]
    assert len({family(found[1]) for found in calls if found}) == len(rows)
    work = [float(row.split("|")[2].split(",")[0]) for row in rows]
    assert work == sorted(work)


def test_what_has_not_settled_says_so():
    """Audit 9: a row that stands for an equilibrium has a residual below ten tolerances, or tells its residual."""
    seen = references.past_depth_curves("paper-small-cpu").query(
        "multiple == 10 and task.str.contains('drunet')"
    )
    for row in seen[seen["solver"].isin(blocks.TRAINED.values())].itertuples():
        said = blocks.depth(row.heading, row.solver)
        assert ("residual" in said or "diverged" in said) == (row.residual > 1e-3), row


def test_the_sample_of_certify_is_what_it_prints(capsys):
    """README shows four of its lines; numbers may move as far as rounding on another machine, and seconds freely."""
    shown = re.search(r"^ {4}\$ python -m bench certify (.*)\n((?: {4}.*\n)+)", README, re.M)
    assert shown is not None
    assert entry(["certify", *shlex.split(shown[1])]) == 0
    printed = [without_seconds(line) for line in capsys.readouterr().out.splitlines()]
    for line in shown[2].splitlines():
        assert any(agree(found, without_seconds(line)) for found in printed), (line, printed)


def without_seconds(line: str) -> str:
    """A line of ``certify`` with single spaces, and without the time of an audit in steps."""
    return re.sub(r": [\d.]+ of a step", "", " ".join(line.split()))
