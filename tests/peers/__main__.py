"""``python -m tests.peers [PROJECT...]``: see the package."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from .projects import PROJECTS
from .runner import Outcome, PeerError, Suite, build_wheel
from .table import TABLE, summary, write

ROOT = Path(__file__).parents[2]


def main() -> int:
    """0 if no project fails on hocket alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("projects", nargs="*", metavar="PROJECT", help=f"of {', '.join(PROJECTS)} (default: all)")
    parser.add_argument("--directory", type=Path, help="where sources and environments are kept (default: build/peers)")
    parser.add_argument("--wheel", type=Path, help="hocket's wheel (default: one is built)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the outcomes to FILE")
    parser.add_argument("--write-docs", action="store_true", help=f"write {TABLE.relative_to(ROOT)} anew")
    options = parser.parse_args()
    unknown = sorted(set(options.projects) - set(PROJECTS))
    if unknown:
        parser.error(f"unknown project {', '.join(unknown)}: choose of {', '.join(PROJECTS)}")
    directory = (
        options.directory or ROOT / "build" / "peers" / f"{sys.version_info.major}.{sys.version_info.minor}"
    ).resolve()
    results: list[Outcome] = []
    failed = False
    try:
        wheel = options.wheel or build_wheel(directory)
        for name in options.projects or PROJECTS:
            start = time.monotonic()
            suite = Suite(PROJECTS[name], directory / name, wheel)
            try:
                suite.prepare()
                outcome = suite.judge()
            except PeerError as error:
                print(f"{name}: {error}", flush=True)
                failed = True
                continue
            results.append(outcome)
            failed = failed or not outcome.ok
            print(f"{summary(outcome)}, {time.monotonic() - start:.0f} s", flush=True)
    except PeerError as error:
        print(error)
        return 2
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    if options.write_docs:
        write(results)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
