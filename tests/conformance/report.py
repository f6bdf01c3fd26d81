"""What a run found, for people (text) and for tools (JSON)."""

import platform
from collections.abc import Iterable
from typing import Any

import hocket

from .runner import VERSION, Report, Result


def leg() -> str:
    """Which hocket on which Python this run is about."""
    compiled = "compiled" if hocket.is_compiled() else "uncompiled"
    return f"hocket {hocket.__version__} ({compiled}) on {platform.python_implementation()} {platform.python_version()}"


def line(report: Report) -> str:
    """One line a module."""
    verdict = "ok" if report.ok else "FAILED"
    parts = [
        f"{report.module.name:26} {verdict:6} {len(report.results):4} tests, {report.on_hocket:4} on hocket"
        f" ({report.loops} loops)",
        f"{report.count('skipped')} skipped",
    ]
    for label, found in (
        ("failed", report.failures),
        ("fail on stock too", report.also_on_stock),
        ("flaky", report.flaky),
        ("excluded", report.excluded),
        ("known bugs", report.known_bugs),
    ):
        if found:
            parts.append(f"{len(found)} {label}")
    return ", ".join(parts)


def details(report: Report) -> str:
    """Every failure with its traceback, and whatever else is wrong."""
    chunks = [f"{report.module.name}: {problem}" for problem in report.problems]
    for title, found in (
        ("FAILED", report.failures),
        ("FLAKY (passed when run again)", report.flaky),
        ("FAILS ON STOCK TOO", report.also_on_stock),
    ):
        chunks += [f"{'=' * 78}\n{title}: {result.id}\n{result.detail.rstrip()}" for result in found]
    return "\n".join(chunks)


def as_json(reports: Iterable[Report]) -> dict[str, Any]:
    """Everything, as plain data."""

    def listed(results: Iterable[Result]) -> list[dict[str, str]]:
        return [{"id": r.id, "baseline": r.baseline, "outcome": r.outcome, "detail": r.detail} for r in results]

    return {
        "leg": leg(),
        "python": VERSION,
        "compiled": hocket.is_compiled(),
        "modules": [
            {
                "name": report.module.name,
                "ok": report.ok,
                "tests": len(report.results),
                "on_hocket": report.on_hocket,
                "loops": report.loops,
                "passed": report.count("passed"),
                "skipped": report.count("skipped"),
                "seconds": round(sum(result.seconds for result in report.results.values()), 2),
                "failures": listed(report.failures),
                "also_on_stock": listed(report.also_on_stock),
                "flaky": listed(report.flaky),
                "excluded": report.excluded,
                "known_bugs": report.known_bugs,
                "problems": report.problems,
            }
            for report in reports
        ],
    }
