"""Works behind a name in a label: an estimator, a part of one, an external solver, a penalty or a denoiser."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from solvers import ESTIMATORS

from .entries import BY_KEY, Entry


@dataclass(frozen=True, slots=True)
class CitedSource:
    """Keys of the works to cite for a name; without keys, ``why`` says why there are none."""

    keys: tuple[str, ...] = ()
    why: str = ""


_KEYS = {
    # Parts of implicit
    "nesterov": ("nesterov1983method", "odonoghue2015adaptive"),
    "anderson": ("anderson1965iterative", "walker2011anderson", "pratapa2016anderson"),
    "quasi_newton": ("byrd1994representations", "nocedal2006numerical"),
    "gmres": ("saad1986gmres",),
    "cg": ("hestenes1952methods",),
    "prox_cg": ("hestenes1952methods",),
    "shared": ("ramzi2022shine",),
    # External solvers
    "deepinv_unfolded": ("tachella2025deepinverse", "gregor2010learning"),
    "deepinv_jfb": ("tachella2025deepinverse", "fung2022jfb"),
    "deepinv_deq": ("tachella2025deepinverse", "bai2019deep"),
    "deepinv_anderson": ("tachella2025deepinverse", "bai2019deep", "walker2011anderson"),
    "torchdeq_phantom": ("geng2023torchdeq", "geng2021training"),
    "torchdeq_ift": ("geng2023torchdeq", "bai2019deep"),
    "torchdeq_anderson": ("geng2023torchdeq", "bai2019deep", "walker2011anderson"),
    "torchdeq_broyden": ("geng2023torchdeq", "bai2019deep", "broyden1965class"),
    "study_ift": ("hertrich2025learning", "tachella2025deepinverse", "li2015accelerated"),
    "study_jfb": ("hertrich2025learning", "li2015accelerated"),
    # Penalties
    "l1": ("daubechies2004iterative", "davy2025restarted"),
    "huber": ("huber1964robust", "davy2025restarted"),
    "orientations": ("davy2025restarted",),
    "colours": ("davy2025restarted",),
    "orientations_colours": ("davy2025restarted",),
    "union": ("davy2025restarted",),
    "tv": ("rudin1992nonlinear",),
    "tgv": ("bredies2010total",),
    "filters": ("chen2014insights",),
    # Learned regularisers
    "crr": ("goujon2023neural", "hertrich2025learning"),
    "wcrr": ("goujon2024learning", "hertrich2025learning"),
    "icnn": ("amos2017input", "hertrich2025learning"),
    "foe": ("roth2009fields", "chen2014insights"),
    # Denoisers
    "drunet": ("zhang2022plug",),
    "dncnn": ("zhang2017beyond", "ryu2019plug", "xu2020boosting"),
    "gsdrunet": ("hurault2022gradient",),
    "scico": ("balke2022scico", "zhang2017beyond"),
}


def cited_sources() -> dict[str, CitedSource]:
    """Sources by name: those of estimators from the registry, then all others."""
    return {
        **{name: CitedSource(spec.citation) for name, spec in ESTIMATORS.items() if spec.citation},
        "iterate": CitedSource(why="plain applications"),
        "picard": CitedSource(why="plain applications, to a residual"),
        **{name: CitedSource(keys) for name, keys in _KEYS.items()},
    }


# A call or an argument; not a keyword, and not a word in the label of a user's solver.
_NAME = re.compile(r"(?:^|[(,]\s*)([A-Za-z_]\w*)(?=\s*[(),]|$)")


def cited_by(labels: Iterable[str]) -> list[str]:
    """Names with a source in calls such as ``implicit(anderson(0.0001), cg(0.003))``, in order, each once."""
    sources = cited_sources()
    names = (name for label in labels for name in _NAME.findall(label))
    return list(dict.fromkeys(name for name in names if name in sources))


def works(names: Iterable[str]) -> list[Entry]:
    """Works behind names of ``cited_sources``, each once."""
    sources = cited_sources()
    return [BY_KEY[key] for key in dict.fromkeys(key for name in names for key in sources[name].keys)]


def sources_markdown(names: Iterable[str]) -> str:
    """A list of names of ``cited_sources`` with the keys of their works."""
    sources = cited_sources()
    lines = (
        f"- `{name}`: {', '.join(sources[name].keys) or f'none ({sources[name].why})'}" for name in names
    )
    return "\n".join(lines) + "\n"
