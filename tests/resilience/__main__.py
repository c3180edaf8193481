"""The command ``python -m tests.resilience``."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.utils.console import run_command, say

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)
NAME = "python -m tests.resilience"
OUT = Path("results/resilience")
Out = Annotated[Path, typer.Option("--out", help="Folder of rows.json and report.md; made if missing.")]
Times = Annotated[int, typer.Option("--times", min=1)]
Seed = Annotated[int, typer.Option("--seed", min=0)]


@app.callback()
def main() -> None:
    """Show that nothing measured is lost, mixed up or silently wrong. Exit code 1 where something was.

    \b
    python -m tests.resilience kills --times 200
    python -m tests.resilience kills --times 20 --command
    python -m tests.resilience stops --times 5
    python -m tests.resilience twins --times 20
    python -m tests.resilience disk --points 50
    python -m tests.resilience malformed
    python -m tests.resilience overhead quick
    python -m tests.resilience throughput quick --task 'deblurring(huber)'
    """


def _study(
    part: str, words: str, out: Path, study: Callable[[Path], tuple[list[dict[str, Any]], bool]]
) -> None:
    from tests.resilience.study import read, store

    read(out)  # before minutes are spent
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="eqgrad-resilience-", ignore_cleanup_errors=True) as folder:
        rows, clean = study(Path(folder))
    for file in store(out, part, f"{NAME} {words}", time.monotonic() - begin, rows):
        print(file)  # noqa: T201
    if not clean:
        say(f"{part}: not as promised; see {out / 'rows.json'}", "red")
        raise typer.Exit(1)


@app.command()
def kills(
    times: Times = 200,
    seed: Seed = 0,
    command: Annotated[
        bool, typer.Option("--command", help="Kill the command itself, with real timings: 20 s a kill.")
    ] = False,
    out: Out = OUT,
) -> None:
    """Kill runs at random moments, and start them again (3 s a kill)."""
    from tests.resilience.kills import kills as study

    def made(folder: Path) -> tuple[list[dict[str, Any]], bool]:
        tally = study(times, folder, seed, command)
        return [tally.row()], tally.clean()

    name, option = ("kills-command", " --command") if command else ("kills", "")
    _study(name, f"kills --times {times} --seed {seed}{option}", out, made)


@app.command()
def stops(times: Times = 5, seed: Seed = 0, out: Out = OUT) -> None:
    """Stop runs by Ctrl-C and SIGTERM, so many times each (40 s a stop)."""
    from tests.resilience.stops import stops as study

    def made(folder: Path) -> tuple[list[dict[str, Any]], bool]:
        found = study(times, folder, seed)
        return [stop.row() for stop in found], all(stop.clean() for stop in found)

    _study("stops", f"stops --times {times} --seed {seed}", out, made)


@app.command()
def twins(times: Times = 20, seed: Seed = 0, out: Out = OUT) -> None:
    """Let two runs work on one folder at once; in every second pair one is killed (8 s a pair)."""
    from tests.resilience.twins import twins as study

    def made(folder: Path) -> tuple[list[dict[str, Any]], bool]:
        found = study(times, folder, seed)
        return [pair.row() for pair in found], all(pair.clean() for pair in found)

    _study("twins", f"twins --times {times} --seed {seed}", out, made)


@app.command()
def disk(points: Annotated[int, typer.Option("--points", min=1)] = 50, out: Out = OUT) -> None:
    """Fill the disk of a run at so many points (10 s each); on a tmpfs where mounting is allowed."""
    from tests.resilience.disk import disk as study

    def made(folder: Path) -> tuple[list[dict[str, Any]], bool]:
        found = study(points, folder)
        return [point.row() for point in found], all(point.clean() for point in found)

    _study("disk", f"disk --points {points}", out, made)


@app.command()
def malformed(seed: Seed = 0, out: Out = OUT) -> None:
    """Give the commands more than a thousand malformed inputs (2 minutes)."""
    from tests.resilience.malformed import malformed as study

    def made(folder: Path) -> tuple[list[dict[str, Any]], bool]:
        found = study(folder, seed)
        return [family.row() for family in found], all(not family.wrong for family in found)

    _study("malformed", f"malformed --seed {seed}", out, made)


@app.command()
def overhead(
    profile: Annotated[str, typer.Argument(help="A profile.")] = "quick",
    everything: Annotated[bool, typer.Option("--everything", help="All its solvers, not a few.")] = False,
    out: Out = OUT,
) -> None:
    """Measure what the harness and the store cost; on a quiet machine (minutes)."""
    from tests.resilience.overhead import SLICE
    from tests.resilience.overhead import overhead as study

    def made(folder: Path) -> tuple[list[dict[str, Any]], bool]:
        return [study(profile, folder, () if everything else SLICE).row()], True

    _study("overhead", f"overhead {profile}{' --everything' * everything}", out, made)


@app.command()
def throughput(
    profile: Annotated[str, typer.Argument(help="Of single-threaded cells, a few seconds each.")] = "quick",
    task: Annotated[list[str] | None, typer.Option("--task", help="Only this task of the profile.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=2, help="Held against one.")] = 2,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="In turns.")] = 2,
    out: Out = OUT,
) -> None:
    """Measure what several Dask workers gain; on a quiet machine (quick's deblurring: 8 minutes a round)."""
    from tests.resilience.throughput import Side
    from tests.resilience.throughput import throughput as study

    def tell(side: Side) -> None:
        say(f"{side.workers} workers: {side.start:.1f} s, then {side.rest:.1f} s")

    def made(folder: Path) -> tuple[list[dict[str, Any]], bool]:
        return [study(profile, task, workers, rounds, folder, tell).row()], True

    tasks = "".join(f" --task '{name}'" for name in task or [])
    _study("throughput", f"throughput {profile}{tasks} --workers {workers} --rounds {rounds}", out, made)


if __name__ == "__main__":
    sys.exit(run_command(app, NAME, None))
