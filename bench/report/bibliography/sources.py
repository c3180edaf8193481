"""Which works stand behind a name in a label: a solver, a part of one, a peer or a prior."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .entries import BY_KEY
from .entry import Entry


@dataclass(frozen=True, slots=True)
class CitedSource:
    """The keys of the works to cite for a name; ``why``, in words, where there are none."""

    keys: tuple[str, ...] = ()
    why: str = ""


def _of(*keys: str) -> CitedSource:
    return CitedSource(keys)


SOURCES: dict[str, CitedSource] = {
    # Solvers
    "unrolled": _of("gregor2010learning"),
    "checkpointed": _of("chen2016training"),
    "jfb": _of("fung2022jfb"),
    "restarted_jfb": _of("davy2025restarted"),
    "neumann": _of("geng2021training"),
    "phantom": _of("geng2021training"),
    "implicit": _of("bai2019deep"),
    "deq": _of("bai2019deep", "walker2011anderson"),
    "certified": _of("ehrhardt2024analyzing"),
    # Parts of implicit
    "iterate": CitedSource(why="plain applications"),
    "picard": CitedSource(why="plain applications, to a residual"),
    "nesterov": _of("nesterov1983method", "odonoghue2015adaptive"),
    "anderson": _of("anderson1965iterative", "walker2011anderson", "pratapa2016anderson"),
    "gmres": _of("saad1986gmres"),
    "cg": _of("hestenes1952methods"),
    "shared": _of("ramzi2022shine"),
    # Peers
    "deepinv_unfolded": _of("tachella2025deepinverse", "gregor2010learning"),
    "deepinv_jfb": _of("tachella2025deepinverse", "fung2022jfb"),
    "deepinv_deq": _of("tachella2025deepinverse", "bai2019deep"),
    "deepinv_anderson": _of("tachella2025deepinverse", "bai2019deep", "walker2011anderson"),
    "torchdeq_phantom": _of("geng2023torchdeq", "geng2021training"),
    "torchdeq_ift": _of("geng2023torchdeq", "bai2019deep"),
    "torchdeq_anderson": _of("geng2023torchdeq", "bai2019deep", "walker2011anderson"),
    "torchdeq_broyden": _of("geng2023torchdeq", "bai2019deep", "broyden1965class"),
    # Penalties
    "l1": _of("daubechies2004iterative", "davy2025restarted"),
    "huber": _of("huber1964robust", "davy2025restarted"),
    "orientations": _of("davy2025restarted"),
    "colours": _of("davy2025restarted"),
    "orientations_colours": _of("davy2025restarted"),
    "union": _of("davy2025restarted"),
    # Denoisers
    "drunet": _of("zhang2022plug"),
    "dncnn": _of("zhang2017beyond", "ryu2019plug", "xu2020boosting"),
    "gsdrunet": _of("hurault2022gradient"),
    "scico": _of("balke2022scico", "zhang2017beyond"),
}
"""By hand; a test compares it with the rosters."""

_NAME = re.compile(r"(?:^|[(,]\s*)([A-Za-z_]\w*)(?=\s*[(),]|$)")
"""A call or an argument; not a keyword, nor a word in the label of somebody's own solver."""


def named(labels: Iterable[str]) -> list[str]:
    """The names with a source in calls such as ``implicit(anderson(0.0001), cg(0.003))``, in order, each once."""
    found = (name for label in labels for name in _NAME.findall(label))
    return list(dict.fromkeys(name for name in found if name in SOURCES))


def works(names: Iterable[str]) -> list[Entry]:
    """The works behind names of ``SOURCES``, each once."""
    keys = dict.fromkeys(key for name in names for key in SOURCES[name].keys)
    return [BY_KEY[key] for key in keys]


def sources_markdown(names: Iterable[str]) -> str:
    """A list of names of ``SOURCES`` with the keys of their works."""
    lines = (
        f"- `{name}`: {', '.join(SOURCES[name].keys) or f'none ({SOURCES[name].why})'}" for name in names
    )
    return "\n".join(lines) + "\n"
