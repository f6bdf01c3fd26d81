"""Runs a program under ``hocket run``'s circumstances, with the doctor looking at it all the while.

``examined.py REPORT RULES PROGRAM [ARGUMENT ...]``: writes what the doctor found to the file REPORT, as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import runpy
import sys
import threading
from pathlib import Path

import hocket
from hocket.observe import watchdog
from hocket.observe.lints import Rules
from hocket.observe.looks import look, mishaps
from hocket.observe.warnings import Trouble, troubles


def examine(rules: Rules, over: threading.Event, found: dict[str, Trouble], looks: list[int]) -> None:
    """Look until it is over and once more then, and add each trouble to what has been *found*."""
    before = None
    while True:
        ended = over.wait(0.3)
        now = look()
        looks[0] += 1
        for trouble in troubles(before, now, rules):
            found[f"{trouble.name} {trouble.place}"] = trouble
        before = now
        if ended:
            return


def main(report: str, words: str, program: str, *arguments: str) -> None:
    rules = Rules().of(("W", word) for word in words.split())
    hocket.install()
    watchdog.start(rules.threshold("blocked-loop"))
    mishaps.start()
    over = threading.Event()
    found: dict[str, Trouble] = {}
    looks = [0]
    examiner = threading.Thread(target=examine, args=(rules, over, found, looks), name="examiner")
    examiner.start()
    sys.argv = [program, *arguments]
    sys.path.insert(0, str(Path(program).resolve().parent))
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        over.set()
        examiner.join()
        answer = {"looks": looks[0], "troubles": [dataclasses.asdict(one) for one in found.values()]}
        Path(report).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
