"""``hocket doctor``: what is wrong with an observed process, or with the run that a recording tells of."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

from hocket.cli import asking
from hocket.cli.client import connect
from hocket.cli.errors import UsageError
from hocket.cli.output import print_csv, print_json
from hocket.observe.lints import LINTS, Rules

DESCRIPTION = """\
Say what is wrong with an observed process (PID), or with the run that a recording (a file) tells of: the worst first,
with what it was known by and what to do next.  Exits with 1 if anything is, 0 if nothing is.
"""

COLUMNS = ("name", "what", "value", "place", "tasks", "next", "evidence")


class _Rule(argparse.Action):
    """Keeps -W and -A in the order in which they come."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        option = "W" if option_string in ("-W", "--warn") else "A"
        namespace.rules = [*namespace.rules, [option, values]]


def main(arguments: Sequence[str]) -> int:
    """Print the troubles of the process or of the recording that *arguments* name."""
    options = parser().parse_args(arguments)
    rules = check(options.rules)
    if options.target is not None and not options.target.isdecimal():
        subject, rows, end = recorded(options.target, rules)
    else:
        subject, rows, end = asked(None if options.target is None else int(options.target), options)
    if options.format == "json":
        print_json({"subject": subject, **end, "troubles": rows})
    elif options.format == "csv":
        print_csv(COLUMNS, [flat(row) for row in rows])
    else:
        print("\n".join(lines(subject, rows, end)))
    return 1 if rows else 0


def parser() -> argparse.ArgumentParser:
    result = asking.Parser(
        prog="hocket doctor",
        description=DESCRIPTION,
        epilog="warnings (-W and -A; their thresholds):\n"
        + "\n".join(f"  {name:18} {lint.threshold:g} {lint.unit}: {lint.summary}" for name, lint in LINTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    result.add_argument(
        "target",
        metavar="PID|RECORDING",
        nargs="?",
        help="the number of the process, or a file; without one, the only process of yours that is observed",
    )
    result.add_argument(
        "--seconds", type=float, default=2.0, metavar="N", help="look at a process for so long (%(default)s)"
    )
    result.add_argument(
        "-W", "--warn", action=_Rule, dest="rules", default=[], metavar="NAME[=THRESHOLD]", help="give this warning"
    )
    result.add_argument(
        "-A", "--allow", action=_Rule, dest="rules", default=[], metavar="NAME", help="do not give it; all: none"
    )
    result.add_argument(
        "--format", choices=("table", "json", "csv"), default="table", help="how to print: table, json, csv (table)"
    )
    return result


def check(words: list[list[str]]) -> Rules:
    """The rules that *words* make; UsageError if they make none."""
    try:
        return Rules().of((option, word) for option, word in words)
    except ValueError as error:
        raise UsageError(f"doctor: {error}") from None


def asked(process: int | None, options: argparse.Namespace) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """What the agent of *process* finds."""
    if not 0.0 <= options.seconds < 3600.0:
        raise UsageError(f"doctor: --seconds expected a number of seconds, got {options.seconds!r}")
    with connect(process) as client:
        client.ask("look")
        time.sleep(options.seconds)
        answer = client.ask("troubles", rules=options.rules)
        return f"process {client.hello['process']}: {client.hello['program']}", answer.rows, answer.end


def recorded(path: str, rules: Rules) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """What the recording in the file *path* tells."""
    import dataclasses

    from hocket.observe.autopsy import autopsy
    from hocket.observe.recording_file import NotARecording

    if not os.path.exists(path):
        raise UsageError(f"doctor: {path!r} is neither the number of a process nor a file")
    try:
        found, end = autopsy(path, rules)
    except NotARecording as error:
        raise UsageError(f"doctor: {error}") from None
    except OSError as error:
        raise UsageError(f"doctor: cannot read {path!r}: {error.strerror or error}") from None
    return f"recording {path}", [dataclasses.asdict(trouble) for trouble in found], end


def lines(subject: str, rows: list[dict[str, Any]], end: dict[str, Any]) -> list[str]:
    """The report for people."""
    seconds = f" in {end['seconds']:.1f} s" if end.get("seconds") is not None else ""
    result = [subject, f"{_count(end['tasks'], 'task')} on {_count(end['loops'], 'loop')} looked at{seconds}"]
    if end.get("note"):
        result.append(end["note"])
    if not rows:
        return [*result, "", "nothing is wrong, as far as the doctor can tell"]
    for number, row in enumerate(rows, 1):
        result += ["", f"{number}. {row['name']}: {row['what']}"]
        place = row["place"]
        if place is not None and not any(f"{place['file']}:{place['line']} " in line for line in row["evidence"]):
            result.append(f"     at    {asking.place(place)}")
        result += [f"     {'seen' if index == 0 else '    '}  {line}" for index, line in enumerate(row["evidence"])]
        result.append(f"     next  {row['next']}")
    return result


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A trouble in the columns of `COLUMNS`."""
    place = row["place"]
    return row | {
        "place": "" if place is None else f"{place['file']}:{place['line']}",
        "tasks": " ".join(map(str, row["tasks"])),
        "evidence": "; ".join(row["evidence"]),
    }
