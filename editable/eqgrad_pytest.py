"""The plugin that pytest finds where eqgrad is installed: ``pytest --eqgrad FILE.py:FACTORY``.

It lies beside the package, since pytest imports it in every project, and the package imports torch.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("eqgrad", "gradients at equilibrium").addoption(
        "--eqgrad",
        action="append",
        default=[],
        metavar="FILE.py:FACTORY",
        help="Check the claims on the UserOperator that a function in a file returns. May be repeated.",
    )


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add a test for each claim that can be checked on an operator, behind the tests that were collected."""
    if session.config.getoption("--eqgrad"):
        from eqgrad.theory_checks.pytest_plugin import pytest_collection_modifyitems as add_claims

        add_claims(session, items)
