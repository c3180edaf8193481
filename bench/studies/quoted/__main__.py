"""The command ``python -m bench.studies.quoted``: write the numbers of README and docs again, from the references."""

from __future__ import annotations

import sys

from .pages import problems, write_quoted_pages


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` only say what differs. Returns the exit code."""
    if arguments not in ([], ["--check"]):
        print("error: python -m bench.studies.quoted takes --check alone", file=sys.stderr)  # noqa: T201
        return 2
    if not arguments:
        for page in write_quoted_pages():
            print(page)  # noqa: T201
    left = problems()
    for line in left:
        print(line)  # noqa: T201
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
