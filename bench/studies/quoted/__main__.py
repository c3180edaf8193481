"""The command ``python -m bench.studies.quoted``: write the quoted numbers into README and docs."""

from __future__ import annotations

import sys

from .pages import problems, write_quoted_pages


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` only print the differences. Returns the exit code."""
    if arguments not in ([], ["--check"]):
        print("error: python -m bench.studies.quoted takes --check alone", file=sys.stderr)  # noqa: T201
        return 2
    lines = [] if arguments else write_quoted_pages()
    differences = problems()
    for line in (*lines, *differences):
        print(line)  # noqa: T201
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
