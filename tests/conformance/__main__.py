"""`python -m tests.conformance`: run CPython's asyncio tests on hocket and say what fails."""

import argparse
import json
import sys
from pathlib import Path

from . import modules, report, runner


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--module", action="append", default=[], metavar="NAME", help="run this module (repeatable)")
    parser.add_argument(
        "-k",
        dest="patterns",
        action="append",
        default=[],
        metavar="PATTERN",
        help="run only tests whose id contains PATTERN (repeatable)",
    )
    parser.add_argument("--baseline", action="store_true", help="run everything on stock asyncio instead")
    parser.add_argument(
        "--accelerated", action="store_true", help="with hocket's primitives in place of asyncio's as well"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings as JSON")
    parser.add_argument("--list", action="store_true", help="list the modules of this interpreter")
    options = parser.parse_args()

    chosen = modules.present()
    if not chosen:
        parser.error("this interpreter has no test.test_asyncio (on Debian: libpython3-testsuite)")
    if options.list:
        for module in chosen:
            print(f"{module.name:26} {module.without_hocket}")
        return 0
    if options.module:
        unknown = set(options.module) - {module.name for module in chosen}
        if unknown:
            parser.error(f"no such module here: {', '.join(sorted(unknown))}; --list shows them")
        chosen = [module for module in chosen if module.name in options.module]

    if options.baseline:
        return _baseline(chosen, options.patterns)
    print(report.leg())
    reports = []
    for module in chosen:
        found = runner.check(module, options.patterns, accelerated=options.accelerated)
        reports.append(found)
        print(report.line(found), flush=True)
    for found in reports:
        text = report.details(found)
        if text:
            print(text)
    unlisted = [] if options.module else modules.unlisted()
    for name in unlisted:
        print(f"{name}: this interpreter has it and modules.py does not")
    if options.json:
        options.json.write_text(json.dumps(report.as_json(reports), indent=1))
    failed = sum(len(found.failures) + len(found.problems) for found in reports) + len(unlisted)
    tests = sum(len(found.results) for found in reports)
    print(f"{tests} tests in {len(reports)} modules: {failed or 'no'} failures that stock asyncio does not have")
    return 1 if failed else 0


def _baseline(chosen: list[modules.Module], patterns: list[str]) -> int:
    """What stock asyncio does in this environment."""
    failed = 0
    for module in chosen:
        results = runner.run_side(module, "stock", patterns=patterns)
        bad = [result for result in results.values() if not result.ok]
        failed += len(bad)
        print(f"{module.name:26} {len(results):4} tests, {len(bad)} failed", flush=True)
        for result in bad:
            print(f"{result.id}\n{result.detail}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
