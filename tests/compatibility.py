"""Makes docs/compatibility-table.md from the tests of the tools (tests/tools) and CPython's own (tests/conformance).

    python -m tests.compatibility --run                    run tests/tools on this Python and keep what came out
    python -m tests.compatibility --conformance FILE.json  keep the summary of `python -m tests.conformance --json`
    python -m tests.compatibility --write                  write the table from what was kept
    python -m tests.compatibility --check                  is the committed table of these tests?  Needs no package.

What was kept is in tests/tools/results, a file a Python, and is committed.  The check does not mind versions and
numbers; it fails when a tool or a test was added, removed or described anew and the table does not know it yet, or when
the table tells of a failure.
"""

from __future__ import annotations

import argparse
import ast
import json
import platform
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "tools"
RESULTS = TESTS / "results"
TABLE = ROOT / "docs" / "compatibility-table.md"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Tool:
    """A file of tests/tools, as its source tells."""

    file: str
    name: str
    packages: tuple[str, ...]
    #: What each test shows, by its name.
    tests: dict[str, str]
    #: The features of test_uvloop_gaps.py, by what they are called.
    features: tuple[str, ...]


def tools() -> list[Tool]:
    """The tools that are tested, by name."""
    return sorted((_read(path) for path in TESTS.glob("test_*.py")), key=lambda tool: tool.name.lower())


def _read(path: Path) -> Tool:
    module = ast.parse(path.read_text())
    constants: dict[str, Any] = {}
    tests: dict[str, str] = {}
    features: list[str] = []
    for node in module.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id in ("TOOL", "PACKAGES"):
                constants[target.id] = ast.literal_eval(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            tests[node.name] = (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
        elif isinstance(node, ast.AsyncFunctionDef):
            features += [
                ast.literal_eval(decorator.args[0])
                for decorator in node.decorator_list
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "feature"
            ]
    if set(constants) != {"TOOL", "PACKAGES"} or not all(tests.values()):
        raise SystemExit(f"{path}: TOOL, PACKAGES and a docstring for every test are wanted")
    return Tool(path.name, constants["TOOL"], tuple(constants["PACKAGES"]), tests, tuple(features))


# -- What came out, a file a Python


def results() -> dict[str, dict[str, Any]]:
    """What was kept, by Python version."""
    found = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


def keep(part: str, value: Any) -> None:
    """Put *value* into what is kept of this Python."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{VERSION}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept |= {"python": platform.python_version(), part: value}
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


class _Recorder:
    """A pytest plugin: counts the outcomes of every test function."""

    def __init__(self) -> None:
        self.outcomes: dict[str, dict[str, Counter[str]]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        file, _, test = report.nodeid.partition("::")
        by_test = self.outcomes.setdefault(Path(file).name, {})
        by_test.setdefault(test.partition("[")[0], Counter())[report.outcome] += 1


def run(arguments: list[str]) -> int:
    """Run tests/tools, or files of it, with pytest and keep what came out; return pytest's exit code."""
    import pytest

    from tests.tools.packages import version

    recorder = _Recorder()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *(arguments or [str(TESTS)])], plugins=[recorder])
    # Files that were not run now keep what came out before.
    ran = {
        tool.file: {
            "versions": {package: version(package) for package in tool.packages},
            "tests": recorder.outcomes[tool.file],
        }
        for tool in tools()
        if tool.file in recorder.outcomes
    }
    keep("tools", results().get(VERSION, {}).get("tools", {}) | ran)
    return int(code)


def keep_conformance(path: Path) -> None:
    """Keep the totals of a run of CPython's tests."""
    found = json.loads(path.read_text())
    if found["python"] != VERSION:
        raise SystemExit(f"{path} is about Python {found['python']}, this is {VERSION}")
    totals: Counter[str] = Counter()
    for module in found["modules"]:
        totals.update({name: value for name, value in module.items() if isinstance(value, int)})
        totals.update({name: len(value) for name, value in module.items() if isinstance(value, (list, dict))})
    keep("conformance", {"modules": len(found["modules"]), **totals})


# -- The table


def render() -> str:
    """The page, from the sources of the tests and what was kept."""
    kept = results()
    lines = [
        "# What is tested",
        "",
        "Made by `python -m tests.compatibility --write` from the tests; please do not edit. Each tool runs really, in",
        "the version named, mostly in processes of its own. Behind the plus sign are tests that a Python cannot have:",
        "what they test is newer.",
        "",
        "| tool | version | " + " | ".join(kept) + " |",
        "|---|---|" + "---|" * len(kept),
    ]
    newest = list(kept.values())[-1] if kept else {}
    for tool in tools():
        versions = newest.get("tools", {}).get(tool.file, {}).get("versions", {})
        named = ", ".join(_named(package, version, len(versions) > 1) for package, version in versions.items())
        cells = [_cell(record.get("tools", {}).get(tool.file, {}).get("tests", {})) for record in kept.values()]
        lines.append(f"| {tool.name} | {named or 'standard library'} | " + " | ".join(cells) + " |")
    lines += ["", *_conformance(kept), "## Test by test", ""]
    for tool in tools():
        lines += [f"### {tool.name}", ""]
        lines += [f"- {described}" for described in tool.tests.values()]
        if tool.features:
            lines += ["", "The features are:", "", *(f"- {feature}" for feature in tool.features)]
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def _named(package: str, version: str | None, one_of_several: bool) -> str:
    return f"{package} {version}" if one_of_several else str(version)


def _cell(tests: dict[str, dict[str, int]]) -> str:
    """How many passed, how many do not concern this Python, how many failed."""
    counts: Counter[str] = Counter()
    for outcomes in tests.values():
        counts.update(outcomes)
    if not counts:
        return "not run"
    text = f"{counts['passed']} passed"
    if counts["failed"]:
        text = f"**{counts['failed']} failed**, {text}"
    return f"{text} + {counts['skipped']}" if counts["skipped"] else text


def _conformance(kept: dict[str, dict[str, Any]]) -> list[str]:
    """CPython's own tests, a line a Python."""
    rows = [(record["python"], record["conformance"]) for record in kept.values() if "conformance" in record]
    if not rows:
        return []
    return [
        "## CPython's own asyncio tests",
        "",
        "`python -m tests.conformance`, with hocket's loop, tasks and futures in place of asyncio's. What is excluded",
        "by name are tests of asyncio's private parts, each with its reason.",
        "",
        "| Python | modules | tests | of them on hocket | fail on hocket only | fail on asyncio too | excluded |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {python} | {row['modules']} | {row.get('tests', 0):,} | {row.get('on_hocket', 0):,} |"
            f" {row.get('failures', 0)} | {row.get('also_on_stock', 0)} | {row.get('excluded', 0)} |"
            for python, row in rows
        ),
        "",
    ]


def check() -> list[str]:
    """What is wrong with the committed table."""
    problems = []
    if not TABLE.exists() or TABLE.read_text() != render():
        problems.append(f"{TABLE.relative_to(ROOT)} is not up to date: python -m tests.compatibility --write")
    for python, record in results().items():
        for tool in tools():
            kept = record.get("tools", {}).get(tool.file, {}).get("tests", {})
            problems += [
                f"Python {python}, {tool.file}: no result of {test}" for test in tool.tests if test not in kept
            ]
            problems += [f"Python {python}, {tool.file}: {test} is gone" for test in kept if test not in tool.tests]
            problems += [f"Python {python}, {tool.file}: {test} failed" for test in kept if "failed" in kept[test]]
        gone = set(record.get("tools", {})) - {tool.file for tool in tools()}
        problems += [f"Python {python}: {file} is gone" for file in sorted(gone)]
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--run", action="store_true", help="run tests/tools on this Python")
    parser.add_argument(
        "--conformance", type=Path, metavar="FILE", help="what `python -m tests.conformance --json` wrote"
    )
    parser.add_argument("--write", action="store_true", help="write the table")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the table is not of these tests")
    parser.add_argument("files", nargs="*", help="with --run: only these files of tests/tools")
    chosen = parser.parse_args()
    code = run(chosen.files) if chosen.run else 0
    if chosen.conformance:
        keep_conformance(chosen.conformance)
    if chosen.write:
        TABLE.write_text(render())
    if chosen.check:
        problems = check()
        print("\n".join(problems) or "the table is up to date")
        code = code or bool(problems)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
