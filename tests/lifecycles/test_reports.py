"""What asyncio complains of, hocket complains of in the same words: in debug mode, and as quietly out of it.

Each program of `reports` runs on both loops; what they print and log is compared line by line, after taking out what
may differ: addresses, the engine's own frames and line numbers, the names of the classes behind loops and transports.
"""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from .reports import REPORTS
from .scripts import Ended, run_script

_ENGINE = r"(?:/[^\s\"'>:]*|src)/(?:asyncio|hocket)(?:/[^\s\"'>:]*)?\.py[xd]?"
_FRAME = re.compile(r'(?P<indent>[ |+]*)File "(?P<file>[^"]*)", line \d+, in ')
_ENGINE_FILE = re.compile(r"/asyncio/|(^|/)hocket/|/threading\.py|/concurrent/|contextvars|frozen")
_REPLACED = (
    (re.compile(r"0x[0-9a-f]+"), "0x"),
    (re.compile(r"took \d+\.\d+ seconds"), "took N seconds"),
    (re.compile(r"fd=\d+"), "fd=N"),
    (re.compile(r"when=[\d.]+"), "when=N"),
    # asyncio names its own create_future() here, hocket who called it; the stack below shows both.
    (re.compile(rf"created at (?:{_ENGINE}:\d+|<string>:\d+)"), "created at SOMEWHERE"),
    (re.compile(r"<Future finis\.\.\.[^ )]*( <string>:\d+)?>"), "<Future finished>"),
    (re.compile(r"<FrameSummary file (?!<string>)[^<>]*>(, )?"), ""),
    (re.compile(r"<FrameSummary file <string>, line \d+ in (?:<module>|run)>(, )?"), ""),
    (re.compile(r"\b(?:hocket\.loop\.EventLoop|EventLoop|_UnixSelectorEventLoop)\b"), "LOOP"),
    (re.compile(r"\b(?:_SelectorSocketTransport|StreamTransport)\b"), "TRANSPORT"),
    (re.compile(r"\b(?:task_wakeup|__wakeup|_wakeup)\b"), "wakeup"),
    (re.compile(rf"{_ENGINE}:\d+"), "ENGINE"),
)


#: There is nothing to compare with where asyncio itself fails: the name of a program, and what asyncio 3.13.0 does.
_BROKEN = {
    "a nested run": "never ends",
    "the program ends with tasks pending and the loop open": "fails in its own report",
}


def comparable(text: str, slow: bool = True) -> list[str]:
    """The lines of *text* that both loops must print.  *slow*: also what is said of slow callbacks."""
    kept: list[str] = []
    frame_at: int | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip(" |+"))
        if frame_at is not None and indent > frame_at:
            continue  # the source below an engine's frame, and the marks below that
        frame_at = None
        frame = _FRAME.match(line)
        # (A stack in a report is cut at ten frames, more of them the engine's in asyncio: the first do not count.)
        if frame is not None and (_ENGINE_FILE.search(frame["file"]) or line.endswith(("in <module>", "in run"))):
            frame_at = indent
            continue
        for pattern, replacement in _REPLACED:
            line = pattern.sub(replacement, line)
        if not slow and line.startswith("Executing "):
            continue  # the machine is busy, and this program is not about that
        if line.startswith("ENGINE: "):
            frame_at = 0  # a warning, and the line of the engine's source that gave it
        kept.append(line)
    return kept


def on_both(source: str, *flags: str) -> tuple[Ended, Ended]:
    # A collection on the way changes the order in which the last one finds things.
    source = "gc.disable()\n" + dedent(source)
    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(run_script, source, *flags, loop="hocket")
        theirs = pool.submit(run_script, source, *flags, loop="stock")
        return ours.result(), theirs.result()


@pytest.mark.parametrize("mode", ["production", "dev"])
@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_asyncios(name: str, mode: str) -> None:
    """Output, log and exit code are those of asyncio; in production (``-W default``) and under ``-X dev``."""
    if sys.version_info[:3] == (3, 13, 0) and name in _BROKEN:
        pytest.skip(f"asyncio 3.13.0 {_BROKEN[name]} here")
    ours, theirs = on_both(REPORTS[name], *(("-X", "dev") if mode == "dev" else ("-W", "default")))
    assert comparable(ours.out) == comparable(theirs.out), ours.err
    slow = name.startswith("a slow")
    assert comparable(ours.err, slow) == comparable(theirs.err, slow)
    assert ours.code == theirs.code


@pytest.mark.parametrize(
    ("flags", "variables", "debug"),
    [
        ((), {}, False),
        (("-X", "dev"), {}, True),
        ((), {"PYTHONASYNCIODEBUG": "1"}, True),
        (("-E",), {"PYTHONASYNCIODEBUG": "1"}, False),
    ],
)
def test_debug_mode_is_chosen_as_asyncios(
    flags: tuple[str, ...], variables: dict[str, str], debug: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``-X dev`` and ``PYTHONASYNCIODEBUG``, unless the environment is to be ignored."""
    source = """
loop = new_loop()
print(loop.get_debug(), loop.slow_callback_duration)
loop.set_debug(True)
print(loop.get_debug())
loop.close()
"""
    if "-E" in flags:
        # It ignores PYTHONPATH too.
        from .scripts import PACKAGE_PARENT

        source = f"import sys; sys.path.insert(0, {PACKAGE_PARENT!r})\n" + source
        source = source.replace("new_loop()", "__import__('hocket').new_event_loop()")
        ended = run_script(source, *flags, loop="stock", **variables)
    else:
        ended = run_script(source, *flags, **variables)
    assert ended.out.split() == [str(debug), "0.1", "True"], ended


def test_the_comparison_would_notice() -> None:
    """What differs between two reports survives the normalising: a word, a frame of the program, a line less."""
    report = (
        'Traceback:\n  File "/usr/lib/asyncio/tasks.py", line 5, in x\n    y\n  File "<string>", line 3, in main\nE: 1'
    )
    assert comparable(report) == ["Traceback:", '  File "<string>", line 3, in main', "E: 1"]
    assert comparable(report) != comparable(report.replace("line 3", "line 4"))
    assert comparable(report) != comparable(report.replace("E: 1", "E: 2"))
