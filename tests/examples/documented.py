"""What an example's docstring says it prints, and whether some text is that.

A docstring holds an indented block under a line ``Output::`` (or ``Output, in an order that varies::``), and one under
``Standard error::`` if it writes there.  In a block ``...`` stands for any text, a line of its own for any number of
lines, and ``~0.10`` for a measured number.  Runs of blanks and of the characters that bars are drawn with count as
one: where a bar begins and how long it came out is a measurement too, and has its own tests.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DOCS = Path(__file__).resolve().parents[2] / "docs"
#: A program of a page, and what it prints if that stands directly below it.
PROGRAM = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)

OUTPUT = "Output::"
UNORDERED = "Output, in an order that varies::"
ERRORS = "Standard error::"


def example_files() -> list[str]:
    """Every example that a reader can run, as a path below examples/; modules with an underscore only help them."""
    files = (path.relative_to(EXAMPLES) for path in EXAMPLES.rglob("*.py"))
    return sorted(str(path) for path in files if not any(part.startswith("_") for part in path.parts))


@dataclass(frozen=True)
class Documented:
    """What a docstring promises: lines of output, whether in this order, and lines on standard error."""

    output: list[str]
    ordered: bool
    errors: list[str]


def documented(name: str) -> Documented:
    docstring = ast.get_docstring(ast.parse((EXAMPLES / name).read_text(encoding="utf-8"))) or ""
    unordered = _block(docstring, UNORDERED)
    return Documented(_block(docstring, OUTPUT) or unordered, not unordered, _block(docstring, ERRORS))


def _block(docstring: str, heading: str) -> list[str]:
    lines = docstring.splitlines()
    if heading not in lines:
        return []
    block = []
    for line in lines[lines.index(heading) + 1 :]:
        if line and not line.startswith("    "):
            break
        block.append(line[4:])
    while block and not block[0]:
        block.pop(0)
    while block and not block[-1]:
        block.pop()
    return block


def pattern(lines: list[str]) -> re.Pattern[str]:
    """A regular expression for the text that a documented block describes."""
    parts = []
    for line in lines:
        if line == "...":
            parts.append(r"(?:[^\n]*\n)*")
            continue
        text = re.escape(collapse(line)).replace(re.escape("..."), r"[^\n]*")
        parts.append(re.sub(r"\\?~\d+(?:\\\.\d+)?", r"\\d+(?:\\.\\d+)?", text) + r"\n")
    return re.compile("".join(parts))


def collapse(line: str) -> str:
    """``line`` with runs of blanks and bar characters shortened, and no blanks where a bar begins and ends."""
    return re.sub(r" *\| *", "|", re.sub(r"([ =#])\1+", r"\1", line)).rstrip()


def is_documented(lines: list[str], text: str, *, ordered: bool = True) -> bool:
    """Whether ``text`` is what the block ``lines`` describes."""
    printed = [collapse(line) for line in text.splitlines()]
    if not ordered:
        lines, printed = sorted(lines), sorted(printed)
    return pattern(lines).fullmatch("".join(f"{line}\n" for line in printed)) is not None


@dataclass(frozen=True)
class Program:
    """One of a page of the documentation, and what it prints."""

    page: str
    line: int
    source: str
    output: str


def programs(pages: str) -> list[Program]:
    """Every program of the *pages*, a pattern of file names."""
    found = []
    for page in sorted(DOCS.glob(pages)):
        text = page.read_text(encoding="utf-8")
        for match in PROGRAM.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Program(page.name, line, match[1], match[2] or ""))
    return found
