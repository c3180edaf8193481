"""What is cited for a solver is there, is BibTeX, and is what the solver itself names as its source."""

from __future__ import annotations

import re

import bibtexparser
import pytest
from pylatexenc.latex2text import LatexNodes2Text

from bench.external import EXTERNAL_SOLVERS
from bench.operators import PLUG_AND_PLAY_PRIORS
from bench.penalties import PRIORS
from bench.report.bibliography import (
    BY_KEY,
    ENTRIES,
    SOURCES,
    Entry,
    named,
    sources_markdown,
    to_bibtex,
    works,
)
from solvers import ESTIMATORS, SOLVER_PARTS

MAKERS = {name: estimator.make for name, estimator in ESTIMATORS.items()} | SOLVER_PARTS


def test_every_name_on_a_roster_has_a_source_or_a_reason_why_not():
    assert set(SOURCES) == {*ESTIMATORS, *SOLVER_PARTS, *EXTERNAL_SOLVERS, *PRIORS, *PLUG_AND_PLAY_PRIORS}
    for name, source in SOURCES.items():
        assert bool(source.keys) != bool(source.why), name
        assert len(set(source.keys)) == len(source.keys), name
        assert set(source.keys) <= set(BY_KEY), name


@pytest.mark.parametrize("name", MAKERS)
def test_the_papers_that_a_solver_names_are_cited(name):
    said = set(re.findall(r"arXiv (\d{4}\.\d{4,5})", MAKERS[name].__doc__ or ""))
    assert said <= {work.eprint for work in works([name])}


def test_keys_are_unique_and_say_who_and_when():
    assert len(BY_KEY) == len(ENTRIES)
    assert len({entry.title.lower() for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        family = entry.author.partition(",")[0]
        assert re.fullmatch(rf"{re.sub(r'[^a-z]', '', family.lower())}{entry.year}[a-z]+", entry.key), (
            entry.key
        )


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_an_entry_has_what_its_kind_needs(entry):
    needed = {
        "article": ("journal", "volume", "pages"),
        "inproceedings": ("booktitle",),
        "book": ("publisher",),
        "misc": ("eprint",),
    }
    for name in needed[entry.kind]:
        assert getattr(entry, name), name
    for author in entry.author.split(" and "):
        assert author == "others" or re.fullmatch(r"[^,]+, [^,]+", author)
    assert re.fullmatch(r"(\d{4}\.\d{4,5})?", entry.eprint)
    assert re.fullmatch(r"(\d+(--\d+)?)?", entry.pages)
    if "--" in entry.pages:
        first, last = map(int, entry.pages.split("--"))
        assert first < last
    if entry.eprint:  # YYMM: no preprint is younger than what it became
        assert 2000 + int(entry.eprint[:2]) <= entry.year


def test_a_parser_reads_what_was_meant():
    text = to_bibtex(ENTRIES)
    assert text.isascii()
    read = bibtexparser.parse_string(text)
    assert not read.failed_blocks
    assert [entry.key for entry in read.entries] == sorted(BY_KEY)
    plain = LatexNodes2Text(math_mode="verbatim").latex_to_text
    for entry in read.entries:
        meant = BY_KEY[entry.key]
        fields = entry.fields_dict
        assert entry.entry_type == meant.kind
        assert plain(fields["title"].value) == meant.title
        assert plain(fields["author"].value) == meant.author
        assert fields["year"].value == str(meant.year)
        assert ("archiveprefix" in fields) == bool(meant.eprint)
        assert "doi" in fields or not meant.doi


def test_accents_become_commands_and_what_has_none_is_refused():
    entry = Entry(key="a2000b", kind="misc", author="Søren, A", title="T", year=2000)
    with pytest.raises(ValueError, match="no LaTeX for 'ø'"):
        entry.to_bibtex()
    assert r"Brice{\~n}o-Arias" in BY_KEY["davy2025restarted"].to_bibtex()


def test_names_are_found_in_labels_and_keywords_are_not():
    labels = [
        "implicit(anderson(0.0001, shared=True), gmres(0.003))",
        "deblurring(drunet(learn_weights=True))",
    ]
    assert named(labels) == ["implicit", "anderson", "gmres", "drunet"]
    assert named(["jfb(40)", "mine(3)", "jfb(10)", "restarted_jfb(2, 3)"]) == ["jfb", "restarted_jfb"]
    assert named(["my jfb (40)", "deq for me", "mine(deq_free=1)", "shared.py"]) == []
    assert named(["deblurring(l1) · 64² × 1", "denoising(dncnn), bf16"]) == ["l1", "dncnn"]
    assert named(["implicit(anderson, shared(5))"]) == ["implicit", "anderson", "shared"]


def test_a_work_that_two_names_share_is_there_once():
    shared = works(["neumann", "phantom"])
    assert [work.key for work in shared] == ["geng2021training"]
    assert to_bibtex([*shared, *shared]) == to_bibtex(shared)


def test_the_list_names_keys_or_says_why_there_are_none():
    lines = sources_markdown(["cg", "picard", "deq"]).splitlines()
    assert lines == [
        "- `cg`: hestenes1952methods",
        "- `picard`: none (plain applications, to a residual)",
        "- `deq`: bai2019deep, walker2011anderson",
    ]


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
