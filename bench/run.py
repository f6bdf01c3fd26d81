"""``python -m bench``: choose cases and loops, interleave the rounds, print tables, write JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import machine
from bench.case import FLOOR, Echo, Selected, UnknownCase, discover
from bench.case import select as select_cases
from bench.effort import FULL, QUICK, Effort
from bench.loops import REGISTRY, Loop, UnknownLoop
from bench.loops import select as select_loops
from bench.results import Contender, Result, as_json
from bench.sample import Measured, SampleFailed, measure
from bench.table import render
from bench.toolchain import LibraryMissing, ToolchainError, program

Measure = Callable[[Selected, str, Effort], Measured]


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
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample and the machine to FILE")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, not how fast")
    parser.add_argument("--no-floor", action="store_true", help="leave out the floors")
    parser.add_argument("--list", action="store_true", help="list cases and loops")
    return parser


def run_case(
    selected: Selected, loops: Iterable[str], rounds: int, effort: Effort, measure: Measure = measure
) -> Result:
    """All rounds of one case. In each round every contender has its turn, so that a machine which changes its mood
    does so for all of them; a contender that fails is not asked again."""
    result = Result(selected, {loop: Contender(loop) for loop in loops})
    for round_number in range(rounds):
        for loop, contender in result.contenders.items():
            if contender.failures:
                continue
            progress(f"{selected.title}: round {round_number + 1} of {rounds}: {loop}")
            try:
                measured = measure(selected, loop, effort)
            except SampleFailed as failure:
                contender.failures.append(str(failure))
            else:
                contender.samples.append(measured.metrics)
                contender.description = measured.loop
    progress("")
    return result


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def show_list() -> None:
    print("cases:")
    for case in discover().values():
        variants = f"  [{', '.join(case.variants)}]" if any(case.variants) else ""
        print(f"  {case.name:22} {case.summary}{variants}")
    print("loops:")
    for loop in REGISTRY.values():
        print(f"  {loop.name:22} {'installed' if loop.installed() else 'not installed'}")


def run(cases: Sequence[Selected], loops: Sequence[Loop], rounds: int, effort: Effort, floors: bool) -> list[Result]:
    results = []
    for selected in cases:
        if isinstance(selected.case, Echo):
            try:
                program(selected.case.generator)
            except LibraryMissing as missing:
                print(f"{selected.title}: not run: {missing}\n")
                continue
        contenders = [loop.name for loop in loops]
        if floors and selected.case.has_floor():
            contenders.insert(0, FLOOR)
        results.append(run_case(selected, contenders, rounds, effort))
        print(render(results[-1]), end="\n\n", flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every sample of every loop gave a number, 1 if one failed, 2 if the request cannot be met."""
    options = parser().parse_args(arguments)
    if options.list:
        show_list()
        return 0
    if options.json is not None and not options.json.parent.is_dir():
        print(f"bench: --json {options.json}: there is no directory {options.json.parent}", file=sys.stderr)
        return 2
    effort = QUICK if options.quick else FULL
    rounds = options.rounds or effort.rounds
    try:
        cases, loops = select_cases(options.cases), select_loops(options.loops)
        here = machine.describe()
        print(machine.headline(here))
        for warning in machine.warnings(here):
            print(f"note: {warning}")
        print(f"interleaved rounds: {rounds}, each sample in a fresh process; medians; ratios below 1 are faster\n")
        results = run(cases, loops, rounds, effort, floors=not options.no_floor)
    except (UnknownCase, UnknownLoop, ToolchainError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbench: interrupted", file=sys.stderr)
        return 130
    if options.json is not None:
        report = {
            "schema": 1,
            "machine": here,
            "effort": effort.name,
            "rounds": rounds,
            "results": [as_json(result) for result in results],
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    failed = [(r.selected.title, c.loop) for r in results for c in r.contenders.values() if c.failures]
    for title, loop in failed:
        print(f"bench: {loop} failed in {title}", file=sys.stderr)
    return 1 if failed else 0
