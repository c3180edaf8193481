"""What a check of a user's own code found, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.errors import UserError, in_a_line

from .operator import Finding

GOOD, FAILS, NOTE = "good", "FAILS", "note"


class Remark(Exception):  # noqa: N818
    """Something that is neither right nor wrong, in words."""


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one check.

    Attributes:
        check: its name.
        verdict: ``good``, ``FAILS``, or ``note`` for what is worth knowing and may well be meant.
        words: what was measured; where it fails, what is wrong and where to look.
    """

    check: str
    verdict: Literal["good", "FAILS", "note"]
    words: str

    @property
    def wrong(self) -> bool:
        """Whether something has to be mended."""
        return self.verdict == FAILS


def demand(right: object, words: str) -> None:
    """Raise ``AssertionError`` with ``words`` unless ``right`` is true: an assertion that ``python -O`` keeps."""
    if not right:
        raise AssertionError(words)


def found(name: str, check: Callable[[], str | None], hint: str = "") -> Found:
    """What comes of ``check``, which returns what it measured.

    Args:
        name: of the check.
        check: raises ``AssertionError`` with a sentence where something is wrong, ``Remark`` where it may be meant.
        hint: where to look then.
    """
    try:
        return Found(name, GOOD, check() or "")
    except Remark as remark:
        return Found(name, NOTE, str(remark))
    except (AssertionError, UserError) as error:
        said = str(error)
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        said = f"it raises {in_a_line(error)}"
    return Found(name, FAILS, f"{said}: {hint}" if hint else said)


def together(some: list[Found]) -> list[Found]:
    """The same, with a single note in place of several that say the same."""
    names: dict[str, list[str]] = {}
    for one in some:
        if one.verdict == NOTE:
            names.setdefault(one.words, []).append(one.check)
    merged = [Found(", ".join(checks), NOTE, words) for words, checks in names.items()]
    return [*(one for one in some if one.verdict != NOTE), *merged]


def of_claim(one: Finding, words: str) -> Found:
    """The same of a claim; assumptions that are not met are worth knowing, and no fault."""
    if one.verdict == "holds":
        return Found(one.claim, GOOD, words)
    if one.verdict == "FAILS":
        return Found(one.claim, FAILS, f"{words}: T is not what its constants or its gradients say")
    return Found(one.claim, NOTE, f"{one.verdict}: {words}")
