"""``hocket record``: runs a program as ``hocket run`` does, and keeps what its loops did, from first to last.

Nothing is overwritten: the records are written to the file while the program runs.  A format other than hocket's own is
made of them when the program has ended, by the program's process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from hocket.cli import run
from hocket.cli.errors import UsageError
from hocket.observe.export import FORMATS, format_of

DESCRIPTION = """\
Run a program on hocket's event loop and record what the loop does: every task, step, wait and wake.

  hocket record app.py -o app.pftrace       for https://ui.perfetto.dev
  hocket record -o run.jsonl -m package     JSON lines; options may stand before the program

The name says the format: .recording (hocket's own, see hocket export), .pftrace, .jsonl, .collapsed
"""

_OUTPUT = ("-o", "--output")


def main(arguments: Sequence[str]) -> int:
    """Run and record the program that `arguments` name; return only if it could not be started."""
    own, program = run.split(arguments, (*run.TAKES_A_VALUE, *_OUTPUT, "--format"))
    separated = len(own) < len(arguments) and arguments[len(own)] == "--"
    parser = run.parser("record", DESCRIPTION)
    parser.add_argument(*_OUTPUT, metavar="FILE", help="where to: by default hocket.recording")
    parser.add_argument("--format", choices=list(FORMATS), help="whatever the name of the file says")
    options = parser.parse_args(own)
    if options.output is None and not separated:
        options.output, program = output_behind(program)
    path = os.path.abspath(options.output or "hocket.recording")
    try:
        form = options.format or format_of(path)
    except ValueError as error:
        raise UsageError(f"record: {error}; or say it with --format") from None
    if program:
        check_writable(path)
    return run.start(options, program, record=(path, form))


def output_behind(program: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take ``-o FILE`` out that stands directly behind the name of the program, where people look for it."""
    words = list(program)
    at = 2 if words[:1] == ["-m"] else 1
    if words[at : at + 1] and words[at] in _OUTPUT:
        if len(words) == at + 1:
            raise UsageError(f"record: {words[at]} needs the name of a file")
        output = words[at + 1]
        del words[at : at + 2]
        return output, words
    return None, words


def check_writable(path: str) -> None:
    """Raise UsageError if the file cannot be made: before the program is started, not after it has ended."""
    existed = os.path.exists(path)
    try:
        with open(path, "ab"):
            pass
        if not existed:
            os.unlink(path)
    except OSError as error:
        raise UsageError(f"record: cannot write {path!r}: {error.strerror or error}") from None
