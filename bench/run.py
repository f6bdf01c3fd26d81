"""``python -m bench``: choose cases and loops, interleave the rounds, print tables, write JSON."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import machine
from bench.bars import render as render_bars
from bench.bars import verdicts
from bench.case import FLOOR, Echo, Selected, UnknownCase, discover
from bench.case import select as select_cases
from bench.effort import BRIEF, FULL, QUICK, Effort
from bench.loops import OBSERVED, REGISTRY, Loop, UnknownLoop, absent
from bench.loops import select as select_loops
from bench.results import Contender, Result, as_json
from bench.sample import Measured, SampleFailed, measure
from bench.servers import ServerMissing, Servers
from bench.table import align, render
from bench.toolchain import LibraryMissing, ToolchainError, program

Measure = Callable[[Selected, str, Effort], Measured]

SPARE_FILES = 100  # that a process has open besides its connections
MOST_ROUNDS = 9  # in a run that is bounded by time


def most_files() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the same work on several event loops: interleaved rounds, each sample in a fresh process.",
    )
    parser.add_argument("--cases", type=names, metavar="A,B", help="cases or case:variant (default: all)")
    parser.add_argument("--loops", type=names, metavar="X,Y", help="loops or module:factory (default: all installed)")
    parser.add_argument("--rounds", type=positive, metavar="N", help=f"samples of each (default: {FULL.rounds})")
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help=f"as many rounds as fit in M minutes, at most {MOST_ROUNDS} or --rounds",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample and the machine to FILE")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, not how fast")
    parser.add_argument("--brief", action="store_true", help="fewer variants, shorter samples")
    parser.add_argument("--no-floor", action="store_true", help="leave out the floors")
    parser.add_argument("--list", action="store_true", help="list cases and loops")
    return parser


def run_case(
    selected: Selected, loops: Iterable[str], rounds: int, effort: Effort, measure: Measure = measure
) -> Result:
    """All rounds of one case."""
    result = Result(selected, {loop: Contender(loop) for loop in loops})
    for number in range(rounds):
        take_round(result, f"round {number + 1} of {rounds}", effort, measure)
    return result


def take_round(result: Result, which: str, effort: Effort, measure: Measure = measure) -> None:
    """Every contender has its turn, so that a machine which changes its mood does so for all of them; one that has
    failed is not asked again."""
    for loop, contender in result.contenders.items():
        if contender.failures:
            continue
        progress(f"{result.selected.title}: {which}: {loop}")
        try:
            measured = measure(result.selected, loop, effort)
        except SampleFailed as failure:
            contender.failures.append(str(failure))
        else:
            contender.samples.append(measured.metrics)
            contender.description = measured.loop
    progress("")


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def show_list() -> None:
    print("cases:")
    for case in discover().values():
        variants = f"  [{', '.join(case.variants)}]" if any(case.variants) else ""
        print(f"  {case.name:22} {case.summary}{variants}")
    print("loops:")
    for loop in (REGISTRY | OBSERVED).values():
        print(f"  {loop.name:22} {'installed' if loop.missing() is None else 'absent'}")


def obstacle(selected: Selected, servers: Servers) -> str | None:
    """Why this case cannot be run here; None if it can. A server that it needs runs from here on."""
    case = selected.case
    absent_packages = [name for name in case.packages if find_spec(name) is None]
    if absent_packages:
        return f"no module named {absent_packages[0]!r}"
    try:
        if isinstance(case, Echo):
            program(case.generator)
            files, limit = case.loads[selected.variant].connections + SPARE_FILES, most_files()
            if files > limit:
                return f"it needs {files:,} open files in one process, and the limit here is {limit:,} (ulimit -Hn)"
        if case.server is not None:
            servers.need(case.server)
    except (LibraryMissing, ServerMissing) as missing:
        return str(missing)
    return None


@dataclass
class Run:
    """What has been measured, what could not be, and whether it was broken off."""

    results: list[Result] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


def run(
    cases: Sequence[Selected],
    loops: Sequence[Loop],
    rounds: int,
    effort: Effort,
    floors: bool,
    minutes: float | None = None,
) -> Run:
    """Measure case by case; with *minutes*, one round of every case again and again until they are over."""
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    whole = Run()
    servers = Servers()
    try:
        for selected in cases:
            contenders = [
                loop.name
                for loop in loops
                if loop.suits(selected.case.uses, selected.case.network)
                and (loop.own or not getattr(selected.case, "own_only", False))
            ]
            if not contenders:
                continue
            if (why := obstacle(selected, servers)) is not None:
                print(f"{selected.title}: not run: {why}\n")
                whole.not_run[selected.title] = why
                continue
            if floors and selected.case.has_floor():
                contenders.insert(0, FLOOR)
            result = Result(selected, {loop: Contender(loop) for loop in contenders})
            whole.results.append(result)
            for number in range(rounds if deadline is None else 0):
                take_round(result, f"round {number + 1} of {rounds}", effort)
            if deadline is None:
                print(render(result), end="\n\n", flush=True)
        if deadline is not None:
            take_rounds(whole, rounds, effort, deadline)
    except KeyboardInterrupt:
        whole.interrupted = True
    finally:
        servers.close()
    whole.results = [
        result for result in whole.results if any(c.samples or c.failures for c in result.contenders.values())
    ]
    if deadline is not None:
        print("\n\n".join(render(result) for result in whole.results), end="\n\n", flush=True)
    return whole


def take_rounds(whole: Run, rounds: int, effort: Effort, deadline: float) -> None:
    for number in range(rounds):
        for result in whole.results:
            if time.monotonic() < deadline:
                take_round(result, f"round {number + 1}", effort)
            elif number == 0:
                whole.not_run[result.selected.title] = "the time was over"


def as_text(report: dict[str, Any]) -> str:
    """JSON with a line for each loop of a case, numbers to seven digits: what can be read, and compared by line."""

    def short(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.7g}")
        if isinstance(value, dict):
            return {key: short(item) for key, item in value.items()}
        return [short(item) for item in value] if isinstance(value, list) else value

    lines = json.dumps(short({**report, "results": []}), indent=1).rpartition("[]")
    results = []
    for result in short(report["results"]):
        loops = ",\n   ".join(json.dumps(loop) for loop in result.pop("loops"))
        results.append(json.dumps(result).removesuffix("}") + f', "loops": [\n   {loops}]}}')
    return f"{lines[0]}[\n  " + ",\n  ".join(results) + f"]{lines[2]}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every sample of every loop gave a number, 1 if one failed, 2 if the request cannot be met."""
    options = parser().parse_args(arguments)
    if options.list:
        show_list()
        return 0
    if options.json is not None and not options.json.parent.is_dir():
        print(f"bench: --json {options.json}: there is no directory {options.json.parent}", file=sys.stderr)
        return 2
    effort = QUICK if options.quick else BRIEF if options.brief else FULL
    rounds = options.rounds or (effort.rounds if options.minutes is None or options.quick else MOST_ROUNDS)
    try:
        cases, loops = select_cases(options.cases, options.brief), select_loops(options.loops)
        here = machine.describe()
        print(machine.headline(here))
        for warning in machine.warnings(here):
            print(f"note: {warning}")
        if options.loops is None and (missing := absent()):
            print(f"absent, not installed here: {', '.join(missing)}")
        bounded = f", in {options.minutes:g} minutes" if options.minutes is not None else ""
        print(f"interleaved rounds: {rounds}{bounded}, each sample in a fresh process; medians; below 1 is faster\n")
        whole = run(cases, loops, rounds, effort, floors=not options.no_floor, minutes=options.minutes)
    except (UnknownCase, UnknownLoop, ToolchainError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    results = whole.results
    if bars := render_bars(verdicts(results), align):
        print(bars)
    if options.json is not None:
        report = {
            "schema": 1,
            "machine": here,
            "absent": absent(),
            "not_run": whole.not_run,
            "effort": effort.name,
            "rounds": rounds,
            "results": [as_json(result) for result in results],
        }
        options.json.write_text(as_text(report))
    if whole.interrupted:
        print("\nbench: interrupted: what had been measured is above", file=sys.stderr)
        return 130
    failed = [(r.selected.title, c.loop) for r in results for c in r.contenders.values() if c.failures]
    for title, loop in failed:
        print(f"bench: {loop} failed in {title}", file=sys.stderr)
    return 1 if failed else 0
