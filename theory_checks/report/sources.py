"""The published works behind each claim. Claims that were derived for this project have none."""

from __future__ import annotations

from collections.abc import Iterable

from bench.report.bibliography import BY_KEY, ENTRIES, Entry

from ..companions import GROUPS

SOURCES: dict[str, tuple[str, ...]] = {
    "C1": ("bai2019deep",),
    "C2": ("davy2025restarted",),
    "C3": ("davy2025restarted",),
    "C4": ("davy2025restarted",),
    "C5": ("fung2022jfb", "davy2025restarted"),
    "C6": ("davy2025restarted",),
    "C7": ("ablin2020super",),
    "C8": ("grazzi2020iteration",),
    "C9": ("bauschke2017convex",),
    "C10": ("moreau1965proximite", "bauschke2017convex"),
    "C11": ("davy2025restarted",),
    "C14": ("geng2021training",),
    "C15": ("hestenes1952methods", "greenbaum1997iterative"),
    "C16": ("ryu2019plug",),
    "C22": ("polyak1964some",),
    "C25": ("kantorovich1948functional",),
    "C31": ("chen2016training", "saad1986gmres"),
    "C32": ("saad1986gmres", "ramzi2022shine"),
    "C37": ("lions1979splitting", "eckstein1992douglas"),
    "C38": ("giselsson2017linear",),
    "C39": ("giselsson2017linear",),
    "C40": ("giselsson2017linear",),
    "C41": ("ryu2019plug",),
    "C43": ("chambolle2011first", "he2012convergence", "condat2013primal"),
    "C45": ("goujon2023neural",),
    "C46": ("goujon2023neural",),
    "C47": ("goujon2023neural",),
    "C48": ("beatson2019efficient",),
}
"""Keys of ``bench.report.bibliography`` by claim; a test compares them with the texts of the claims."""
DERIVED = frozenset(
    "C12 C13 C17 C18 C19 C20 C21 C23 C24 C26 C27 C28 C29 C30 C33 C34 C35 C36 C42 C44".split()  # noqa: SIM905
)
"""Claims that were derived for this project and cite nothing."""


EXPERIMENTS: dict[str, tuple[str, ...]] = {
    experiment.id: tuple(work.key for work in ENTRIES if work.eprint and work.eprint in experiment.source)
    for group in GROUPS
    for experiment in group.experiments
}
"""Keys by experiment: the works whose arXiv number is in its ``source``."""


def cited(claims: Iterable[str]) -> list[Entry]:
    """The works behind some claims and experiments, each once, in order."""
    keys = dict.fromkeys(key for claim in claims for key in (SOURCES | EXPERIMENTS).get(claim, ()))
    return [BY_KEY[key] for key in keys]
