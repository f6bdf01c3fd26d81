"""``python -m bench.document RESULT.json... > docs/performance.md``: results as a page, with plots drawn as SVG.

Plots are written beside the page, into the directory given with ``--plots``. Nothing but the standard library is used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.bars import HOCKET, OWN, Verdict, best_peer, verdicts
from bench.case import Selected, discover
from bench.plots import bar_chart, growth_chart
from bench.results import Contender, Result

HEAD = """# Performance

How fast hocket is beside every other event loop for Python that can be installed, and beside the same work without any
loop. What is measured, and how to read it, stands in `bench/README.md`; `make performance` measures, and
`python -m bench.document` writes this page and its plots from the results, which lie beside the plots as JSON.

CPU time is that of the process under test. Values are medians of rounds, each in a fresh process; in brackets stand the
least and the most. Where two of these ranges overlap, there is no winner. Every answer of a server has been compared
with what it has to be, byte by byte.
"""

BARS_HEAD = """## What hocket is held to

A ratio is hocket's figure over that of the best other loop in that case on that Python, which is named, or over the
floor; less is better, except for throughput. What is **bold** misses its bar. "hocket's own" is the case with
`hocket.sleep`, `hocket.Queue` and the like, and the other loop with asyncio's. The kernel samples user time with its
clock: it is off by some per cent.
"""


Reports = Sequence[tuple[dict[str, Any], list[Result]]]


def load(path: Path) -> tuple[dict[str, Any], list[Result]]:
    """A report of ``python -m bench --json``: the machine, and the results of the cases that still exist."""
    report = json.loads(path.read_text())
    cases, results = discover(), []
    for record in report["results"]:
        if record["case"] in cases and record["variant"] in cases[record["case"]].variants:
            contenders = {
                loop["loop"]: Contender(loop["loop"], loop["samples"], loop["failures"], loop["implementation"])
                for loop in record["loops"]
            }
            results.append(Result(Selected(cases[record["case"]], record["variant"]), contenders))
    return {
        **report["machine"],
        "absent": report.get("absent", []),
        "not_run": report.get("not_run", {}),
        "results": len(results),
    }, results


def table(rows: Iterable[Sequence[str]], heading: Sequence[str]) -> list[str]:
    lines = [heading, ["---"] * len(heading), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def version_of(machine: dict[str, Any]) -> str:
    return str(machine["python"].split()[-1].rpartition(".")[0])


def bars_section(reports: Reports) -> list[str]:
    """One table for all Pythons: a row for each bar, a column for each of them."""
    by_python = {version_of(machine): verdicts(results) for machine, results in reports}
    rows: dict[tuple[str, str], dict[str, Verdict]] = {}
    for python, found in by_python.items():
        for verdict in found:
            rows.setdefault((verdict.title, verdict.what), {})[python] = verdict

    def cell(verdict: Verdict | None) -> str:
        if verdict is None:
            return "not run"
        if verdict.mine is None:
            return "**failed**"
        return f"{verdict.ratio:.2f} {verdict.other}" if verdict.met else f"**{verdict.ratio:.2f}** {verdict.other}"

    table_rows = []
    for (title, what), found in rows.items():
        any_of = next(iter(found.values()))
        bar = f"{'at least' if any_of.at_least else 'at most'} {any_of.bar:.2f}"
        table_rows.append([f"`{title}`", what, bar, *(cell(found.get(python)) for python in by_python)])
    met = [f"{sum(v.met for v in found)} of {len(found)} on {python}" for python, found in by_python.items()]
    return [
        BARS_HEAD,
        f"Met are {', '.join(met)}.",
        "",
        *table(table_rows, ["case", "hocket with", "bar", *by_python]),
        "",
    ]


def case_section(result: Result, plot: str | None) -> list[str]:
    case, rows = result.selected.case, []
    for contender in result.in_order():
        cells = []
        for metric in (case.headline, *case.columns):
            value = contender.median(metric.key)
            cells.append("-" if value is None else f"{value * metric.scale:,.{metric.decimals}f}")
        if contender.failures:
            cells[0] = "failed"
        elif contender.samples:
            low, high = (f"{edge:,.{case.headline.decimals}f}" for edge in contender.spread(result.headline))
            cells[0] += f" ({low} .. {high})"
        ratio = result.ratios(contender.loop)["best_other"]
        rows.append([contender.loop, *cells, "-" if ratio is None else f"{ratio:.2f}", str(len(contender.samples))])
    heading = ["loop", case.headline.heading, *(metric.heading for metric in case.columns), "x best other", "rounds"]
    picture = [f"![{result.selected.title}]({plot})", ""] if plot else []
    return [
        f"### {result.selected.title}",
        "",
        f"{case.summary}; per {case.operation}.",
        "",
        *picture,
        *table(rows, heading),
        "",
    ]


def loops_line(machine: dict[str, Any], results: Iterable[Result]) -> str:
    """Which loops took part, with their versions, and which could not be installed there."""
    known: dict[str, str] = {}
    for result in results:
        for name, contender in result.contenders.items():
            if contender.description is not None:
                form = {None: "", True: " compiled", False: " uncompiled"}[contender.description.get("compiled")]
                known[name] = f"{name} {contender.description.get('version') or ''}".strip() + form
    missing = f" Not installed there: {', '.join(machine['absent'])}." if machine.get("absent") else ""
    return f"Loops: {', '.join(known[name] for name in sorted(known))}.{missing}"


def failures(results: Iterable[Result]) -> list[str]:
    return [
        f"- {contender.loop} in `{result.selected.title}`: {contender.failures[0]}"
        for result in results
        for contender in result.contenders.values()
        if contender.failures
    ]


def merged(reports: Iterable[tuple[dict[str, Any], list[Result]]]) -> list[tuple[dict[str, Any], list[Result]]]:
    """One report for each Python: several runs add up, and where two measured the same case the later one counts."""
    machines: dict[str, dict[str, Any]] = {}
    results: dict[str, dict[str, Result]] = {}
    for machine, found in reports:
        first = machines.setdefault(machine["python"], {**machine, "load_averages": [], "not_run": {}})
        first["load_averages"].append(machine["load_average_at_start"])
        first["not_run"].update(machine.get("not_run", {}))
        results.setdefault(machine["python"], {}).update({result.selected.title: result for result in found})
    return [(machines[python], sorted(by_title.values(), key=is_growth)) for python, by_title in results.items()]


def is_growth(result: Result) -> bool:
    """Growth curves come last on the page, each as one plot."""
    return result.selected.case.name.endswith("_growth")


def draw(result: Result, alike: list[Result]) -> str | None:
    """A growth curve for the first of its results and none for the others; for everything else, bars."""
    if not is_growth(result):
        return bar_chart(result)
    return growth_chart(alike) if result is alike[0] else None


def machine_line(machine: dict[str, Any]) -> str:
    memory = f"{machine['memory_gb']:g} GiB of memory, " if "memory_gb" in machine else ""
    loads = machine["load_averages"]
    runs = f" Put together from {len(loads)} runs." if len(loads) > 1 else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {memory}{machine['system']}, {machine['compiler']};"
        f" load average at the start of a run {min(loads):.1f} to {max(loads):.1f}.{runs}"
    )


def page(reports: Reports, plots: Path | None, relative: str) -> str:
    lines = [HEAD, *bars_section(reports)]
    for machine, results in reports:
        lines += [f"## {machine['python']}", "", machine_line(machine), "", loops_line(machine, results), ""]
        if failed := failures(results):
            lines += ["Loops that gave no result, and are no peers in that case:", "", *failed, ""]
        measured = {result.selected.title for result in results}
        if not_run := {title: why for title, why in machine["not_run"].items() if title not in measured}:
            lines += ["Not run there:", "", *(f"- `{title}`: {why}" for title, why in not_run.items()), ""]
        for result in results:
            plot = None
            drawing = draw(result, [r for r in results if r.selected.case is result.selected.case])
            if plots is not None and drawing is not None:
                name = f"{version_of(machine)}-{result.selected.title.replace(':', '-')}.svg"
                (plots / name).write_text(drawing)
                plot = f"{relative}/{name}" if relative else name
            lines += case_section(result, plot)
    return "\n".join(lines).rstrip() + "\n"


CLAIMS = {
    "switch": ("stock", "switching tasks, `asyncio.sleep(0)`"),
    "create_await": ("stock", "creating and awaiting a task"),
    "gather": ("stock", "`asyncio.gather` of 1,000"),
    "timeout": ("stock", "`asyncio.timeout`, entered and left"),
    "tcp_protocol:200x1k": ("stock", "TCP echo by protocol, 200 connections, 1 KiB"),
    "tcp_streams:200x1k": ("stock", "TCP echo by asyncio's streams, 200 connections, 1 KiB"),
    "tls_protocol:50x1k": ("stock", "TLS echo by protocol, 50 connections, 1 KiB"),
    "http_uvicorn:50": ("stock", "HTTP hello-world, uvicorn and Starlette"),
    "queue": ("own", "`hocket.Queue` beside `asyncio.Queue`"),
}
README_MARKS = ("<!-- bench -->", "<!-- /bench -->")


def readme_block(reports: Reports) -> str:
    """A few figures for the README: CPU time an operation, as a ratio to stock asyncio and to the best other loop."""
    rows = []
    for title, (kind, words) in CLAIMS.items():
        cells = []
        for _, results in reports:
            result = next((r for r in results if r.selected.title == title), None)
            name = HOCKET if kind == "stock" else OWN
            stock = result.ratio(name, "asyncio") if result is not None else None
            best = best_peer(result) if result is not None else None
            ratio = result.ratio(name, best) if result is not None else None
            cells.append("-" if stock is None else f"{stock:.2f}")
            cells.append("-" if ratio is None else f"{ratio:.2f} ({best})")
        rows.append([words, *cells])
    versions = [version_of(machine) for machine, _ in reports]
    columns = [heading for version in versions for heading in (f"{version}: asyncio", f"{version}: best other loop")]
    machine = reports[0][0]
    counts = []
    for version, (_, results) in zip(versions, reports, strict=True):
        found = verdicts(results)
        counts.append(f"{sum(v.met for v in found)} of {len(found)} on {version}")
    return "\n".join(
        [
            f"CPU time of hocket over that of stock asyncio, and of the best other loop in that case, on a machine with"
            f" {machine['cores']} cores ({machine['processor']}); less than 1 is faster:",
            "",
            *table(rows, ["", *columns]),
            "",
            "[docs/performance.md](docs/performance.md) has every case, every loop and the spread, and what"
            f" hocket is held to: met are {', '.join(counts)}. `make bench` measures on your machine, in ten minutes.",
        ]
    )


def put_into(text: str, block: str) -> str:
    """The text of a README with *block* between the marks."""
    before, first, rest = text.partition(README_MARKS[0])
    _, last, after = rest.partition(README_MARKS[1])
    if not first or not last:
        raise SystemExit(f"bench.document: the README has no {' and '.join(README_MARKS)}")
    return f"{before}{first}\n{block}\n{last}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.document", description="Results as a Markdown page.")
    parser.add_argument("reports", type=Path, nargs="+", metavar="FILE", help="written by python -m bench --json")
    parser.add_argument("--output", type=Path, help="the page (default: standard output)")
    parser.add_argument("--plots", type=Path, help="directory for SVG plots, under that of the page")
    parser.add_argument("--readme", type=Path, help="a README that is to have a few figures between its marks")
    options = parser.parse_args(arguments)
    reports = merged(load(path) for path in options.reports)
    relative = ""
    if options.plots is not None:
        options.plots.mkdir(parents=True, exist_ok=True)
        if options.output is not None and options.plots.resolve().is_relative_to(options.output.parent.resolve()):
            relative = str(options.plots.resolve().relative_to(options.output.parent.resolve()))
    text = page(reports, options.plots, relative)
    if options.readme is not None:
        options.readme.write_text(put_into(options.readme.read_text(), readme_block(reports)))
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
