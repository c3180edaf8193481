"""What is cited for a solver is there, is BibTeX, and is what the solver itself names as its source."""

from __future__ import annotations

import re

import bibtexparser
import pytest

from bench.config.lookup import TASK_ARGUMENTS
from bench.external import EXTERNAL_SOLVERS
from bench.report.bibliography import (
    BY_KEY,
    ENTRIES,
    cited_by,
    cited_sources,
    sources_markdown,
    to_bibtex,
    works,
)
from solvers import ESTIMATORS, SOLVER_PARTS

MAKERS = {name: estimator.make for name, estimator in ESTIMATORS.items()} | SOLVER_PARTS


def test_every_name_on_a_roster_has_a_source_or_a_reason_why_not():
    sources = cited_sources()
    assert set(sources) == {*ESTIMATORS, *SOLVER_PARTS, *EXTERNAL_SOLVERS, *TASK_ARGUMENTS}
    for name, source in sources.items():
        assert bool(source.keys) != bool(source.why), name
        assert len(set(source.keys)) == len(source.keys), name
        assert set(source.keys) <= set(BY_KEY), name


@pytest.mark.parametrize("name", MAKERS)
def test_the_papers_that_a_solver_names_are_cited(name):
    said = set(re.findall(r"arXiv (\d{4}\.\d{4,5})", MAKERS[name].__doc__ or ""))
    assert said <= {work.eprint for work in works([name])}


def test_keys_are_unique_and_say_who_and_when():
    assert len(BY_KEY) == len(ENTRIES)
    assert len({entry.fields["title"].lower() for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        family = re.sub(r"[^a-z]", "", entry.author.partition(",")[0].lower())
        assert re.fullmatch(rf"{family}{entry.fields['year']}[a-z]+", entry.key), entry.key


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_an_entry_has_what_its_kind_needs(entry):
    needed = {
        "article": ("journal", "volume", "pages"),
        "inproceedings": ("booktitle",),
        "book": ("publisher",),
        "misc": ("eprint",),
    }
    for name in ("author", "title", "year", *needed[entry.kind]):
        assert entry.fields[name], name
    for author in entry.author.split(" and "):
        assert author == "others" or re.fullmatch(r"[^,]+, [^,]+", author)
    assert re.fullmatch(r"(\d{4}\.\d{4,5})?", entry.eprint)
    assert ("archiveprefix" in entry.fields) == bool(entry.eprint)
    pages = entry.fields.get("pages", "")
    assert re.fullmatch(r"(\d+(–\d+)?)?", pages)
    if "–" in pages:
        first, last = map(int, pages.split("–"))
        assert first < last
    if entry.eprint:  # YYMM: no preprint is younger than what it became
        assert 2000 + int(entry.eprint[:2]) <= int(entry.fields["year"])


def test_what_is_printed_is_a_file_of_ascii_sorted_by_key_that_a_parser_reads():
    text = to_bibtex(ENTRIES)
    assert text.isascii()
    read = bibtexparser.parse_string(text)
    assert not read.failed_blocks
    assert [entry.key for entry in read.entries] == sorted(BY_KEY)
    for entry in read.entries:  # braces twice keep the capitals of a title whatever the style does
        assert re.fullmatch(r"\{.*\}", entry.fields_dict["title"].value)
    assert to_bibtex([]) == ""


def test_accents_are_commands_where_they_are_printed_and_letters_where_they_are_read():
    entry = BY_KEY["davy2025restarted"]
    assert r"Brice{\~n}o-Arias" in entry.bibtex
    assert "Briceño-Arias" in entry.author


def test_names_are_found_in_labels_and_keywords_are_not():
    labels = [
        "implicit(anderson(0.0001, shared=True), gmres(0.003))",
        "deblurring(drunet(learn_weights=True))",
    ]
    assert cited_by(labels) == ["implicit", "anderson", "gmres", "drunet"]
    assert cited_by(["jfb(40)", "mine(3)", "jfb(10)", "restarted_jfb(2, 3)"]) == ["jfb", "restarted_jfb"]
    assert cited_by(["my jfb (40)", "deq for me", "mine(deq_free=1)", "shared.py"]) == []
    assert cited_by(["deblurring(l1) · 64² × 1", "denoising(dncnn), bf16"]) == ["l1", "dncnn"]
    assert cited_by(["implicit(anderson, shared(5))"]) == ["implicit", "anderson", "shared"]


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
