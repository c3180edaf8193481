"""The outcome of a check of a user's code, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.utils.errors import UserError, in_a_line

from ..operators.operator_claims import OperatorCheck

GOOD, FAILS, NOTE = "good", "FAILS", "note"


class Note(Exception):  # noqa: N818
    """Raised by a check for something that may be intended; the message describes it."""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The outcome of one check.

    Attributes:
        check: name of the check.
        verdict: ``good``, ``FAILS``, or ``note`` for something that may be intended.
        words: what was measured; if the check fails, what is wrong and where to look.
    """

    check: str
    verdict: Literal["good", "FAILS", "note"]
    words: str

    @property
    def wrong(self) -> bool:
        """Whether something must be corrected."""
        return self.verdict == FAILS


def require(condition: object, words: str) -> None:
    """Raise ``AssertionError`` with ``words`` unless ``condition`` is true, also under ``python -O``."""
    if not condition:
        raise AssertionError(words)


def run_check(name: str, check: Callable[[], str | None], hint: str = "") -> CheckOutcome:
    """Run a check, and turn whatever it raises into an outcome.

    Args:
        name: name of the check.
        check: returns what it measured. Raises ``AssertionError`` with a sentence if something is wrong, ``Note`` if it
            may be intended.
        hint: where to look if the check fails.
    """
    try:
        return CheckOutcome(name, GOOD, check() or "")
    except Note as note:
        return CheckOutcome(name, NOTE, str(note))
    except (AssertionError, UserError) as error:
        fault = str(error)
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        fault = f"it raises {in_a_line(error)}"
    return CheckOutcome(name, FAILS, f"{fault}: {hint}" if hint else fault)


def merge_notes(outcomes: list[CheckOutcome]) -> list[CheckOutcome]:
    """Merge notes with the same words into one, and put the notes last."""
    checks: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.verdict == NOTE:
            checks.setdefault(outcome.words, []).append(outcome.check)
    notes = [CheckOutcome(", ".join(names), NOTE, words) for words, names in checks.items()]
    return [*(outcome for outcome in outcomes if outcome.verdict != NOTE), *notes]


def claim_outcome(check: OperatorCheck, words: str) -> CheckOutcome:
    """The outcome of a claim. Assumptions that are not met are a note, and no fault."""
    if check.verdict == "holds":
        return CheckOutcome(check.claim, GOOD, words)
    if check.verdict == "FAILS":
        words = f"{words}: T contradicts the constants it states, or its gradients are wrong"
        return CheckOutcome(check.claim, FAILS, words)
    return CheckOutcome(check.claim, NOTE, f"{check.verdict}: {words}")
