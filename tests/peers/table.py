"""The outcomes as lines for a person, and as the table of the documentation."""

from __future__ import annotations

from pathlib import Path

from .projects import PROJECTS
from .runner import Outcome

TABLE = Path(__file__).parents[2] / "docs" / "peers-table.md"


def summary(outcome: Outcome) -> str:
    """One line, and a line for each test that is not as it should be."""
    counts = ", ".join(f"{number} {what}" for what, number in sorted(outcome.counts.items()))
    loops = ", ".join(f"{number} {name}" for name, number in sorted(outcome.loops.items()))
    lines = [f"{outcome.project} {outcome.version} on {outcome.python}: {counts}, {outcome.excluded} left out; {loops}"]
    lines += [f"  only on the second or third try: {test}" for test in outcome.flaky]
    lines += [f"  fails on asyncio's own loop too: {test}" for test in outcome.on_stock_too]
    lines += [f"  FAILS ON HOCKET ONLY: {test}" for test in outcome.only_here]
    return "\n".join(lines)


def write(outcomes: list[Outcome]) -> None:
    """Write the table of the documentation."""
    lines = [
        "# Other projects' tests",
        "",
        "Made by `nox -s peers -- --write-docs` from a run; please do not edit. The suites come from the projects'",
        "source distributions and run with hocket's loop in place of asyncio's and uvloop's. What fails is run again,",
        "and then on asyncio's own loop in the same environment.",
        "",
        "| suite | Python | passed | skipped by itself | left out "
        "| fails on asyncio too | fails on hocket only | loops |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        counts = outcome.counts
        passed = counts.get("passed", 0) + len(outcome.flaky)
        skipped = counts.get("skipped", 0) + counts.get("xfailed", 0)
        loops = sum(number for name, number in outcome.loops.items() if name.startswith("hocket."))
        lines.append(
            f"| {outcome.project} {outcome.version} | {outcome.python} | {passed} | {skipped} | {outcome.excluded} "
            f"| {len(outcome.on_stock_too)} | {len(outcome.only_here)} | {loops} |"
        )
    lines += ["", "Left out, each with its reason:", ""]
    for outcome in outcomes:
        for pattern, reason in PROJECTS[outcome.project].excluded.items():
            lines.append(f"- {outcome.project}: `{pattern}`: {reason}")
    TABLE.write_text("\n".join(lines) + "\n")
