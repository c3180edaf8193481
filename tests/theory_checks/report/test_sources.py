"""What is cited for a claim is what the claim itself says, and its tables can be pasted."""

from __future__ import annotations

import importlib
import pkgutil
import re

import bibtexparser

import theory_checks.claims
from bench.report import bibliography
from bench.report.bibliography import BY_KEY, ENTRIES
from theory_checks.claims import CLAIMS
from theory_checks.companions import GROUPS
from theory_checks.engine.claim_runner import verify_claim
from theory_checks.report.claim_tables import claim_frame, verdicts_latex
from theory_checks.report.sources import DERIVED, EXPERIMENTS, SOURCES, cited

DOCS = {
    module.CLAIM.id: module.__doc__ or ""
    for module in (
        importlib.import_module(f"theory_checks.claims.{found.name}")
        for found in pkgutil.iter_modules(theory_checks.claims.__path__)
        if found.name[1].isdigit()
    )
}


def test_every_claim_has_a_source_or_was_derived_here():
    assert set(SOURCES) | DERIVED == set(CLAIMS)
    assert not set(SOURCES) & DERIVED
    assert all(keys and set(keys) <= set(BY_KEY) for keys in SOURCES.values())


def test_the_papers_that_a_claim_names_are_cited_and_no_others():
    for name, claim in CLAIMS.items():
        said = f"{claim.source} {DOCS[name]}"
        works = cited([name])
        assert set(re.findall(r"arXiv (\d{4}\.\d{4,5})", said)) <= {work.eprint for work in works}, name
        for work in works:
            family = work.author.partition(",")[0]
            assert (work.eprint and work.eprint in said) or family in said, (name, work.key)


def test_a_derived_claim_names_no_year():
    for name in DERIVED:
        assert not re.search(r"arXiv|\b(18|19|20)\d\d\b", CLAIMS[name].source), name


def test_an_experiment_cites_the_papers_that_it_names():
    for group in GROUPS:
        for experiment in group.experiments:
            named = re.findall(r"\d{4}\.\d{5}", experiment.source)
            assert sorted(work.eprint for work in cited([experiment.id])) == sorted(set(named)), experiment.id


def test_no_entry_is_cited_nowhere():
    used = {key for source in bibliography.cited_sources().values() for key in source.keys}
    used |= {key for keys in (SOURCES | EXPERIMENTS).values() for key in keys}
    assert {entry.key for entry in ENTRIES} == used


def test_the_table_of_verdicts_aligns_every_column():
    verdicts = [verify_claim(CLAIMS[name], 5) for name in ("C4", "C10")]
    text = verdicts_latex(verdicts)
    (align,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3
    assert {row.count("&") + 1 for row in rows} == {len(align)}
    assert len(align) == len(claim_frame(verdicts).columns) - 3
    (keys,) = re.findall(r"\\cite\{(.*?)\}", text)
    read = bibtexparser.parse_string(bibliography.to_bibtex(cited(["C4", "C10"])))
    assert sorted(keys.split(",")) == [entry.key for entry in read.entries]
