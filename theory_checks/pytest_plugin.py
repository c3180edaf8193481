"""A plugin for pytest that turns each claim on your operator into a test.

    pytest -p theory_checks.pytest_plugin --eqgrad ./contraction.py:make

A claim that holds passes, one that fails says why, and one whose assumptions are not met is skipped with the reason.
Only pytest is imported before the option is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # these imports take seconds
    from .operators import OperatorCheck

OPTION = "--eqgrad"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("eqgrad", "gradients at equilibrium").addoption(
        OPTION,
        action="append",
        default=[],
        metavar="FILE.py:FACTORY",
        help="Check the claims on the UserOperator that a function in a file returns. May be repeated.",
    )


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add a test for each claim that can be checked on an operator, behind the tests that were collected."""
    texts: list[str] = session.config.getoption(OPTION) or []
    for text in dict.fromkeys(texts):
        items += claim_items(session, text)


def claim_items(session: pytest.Session, text: str) -> list[ClaimItem]:
    """The tests of one operator, which is loaded now; a file that cannot be used ends pytest with one line."""
    from bench.utils.errors import UserError

    from .operators import check_operator_claims, load_operator
    from .operators.operator_claims import APPLICABLE
    from .operators.user_operator import operator_case

    try:
        case, rigour = operator_case(load_operator(text), text)
    except UserError as error:
        raise pytest.UsageError(str(error).replace("--operator", OPTION)) from error

    def check(claim: str) -> OperatorCheck:
        (found,) = check_operator_claims(case, rigour, (claim,))
        return found

    return [
        ClaimItem.from_parent(session, name=claim, nodeid=f"{text}::{claim}", check=check)
        for claim in APPLICABLE
    ]


class ClaimFails(AssertionError):  # noqa: N818
    """The operator contradicts a claim."""


class ClaimItem(pytest.Item):
    """A claim on an operator.

    Args:
        check: checks the claim with a given id.
        arguments: those of ``pytest.Item``.
    """

    def __init__(self, *, check: Callable[[str], OperatorCheck], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.check = check

    def runtest(self) -> None:
        """Check the claim. Skips what does not apply."""
        from .claims import CLAIMS

        found = self.check(self.name)
        if found.verdict == "FAILS":
            raise ClaimFails(
                f"{CLAIMS[self.name].statement}\n  {found.reason} (L = {found.L:.4g}, {found.rigour})"
            )
        if found.verdict != "holds":
            pytest.skip(f"{found.verdict}: {found.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Two lines for a claim that fails; a traceback for everything else."""
        return (
            str(excinfo.value)
            if isinstance(excinfo.value, ClaimFails)
            else super().repr_failure(excinfo, style)
        )

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where the test is from."""
        return self.path, None, self.nodeid
