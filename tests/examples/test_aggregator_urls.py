"""examples/aggregator.py with a file of URLs: real work, every kind of failure counted, clear complaints."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.examples.conftest import COMMAND, LIMIT, Result, environment, run
from tests.examples.documented import EXAMPLES
from tests.examples.webserver import Web, web_server


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture
def fetch(tmp_path: Path, web: Web) -> Callable[..., Result]:
    """Run the aggregator on paths of the web server; `*options` and environment `**variables` as given."""

    def fetch(paths: list[str], *options: str, **variables: str) -> Result:
        return Result(run("aggregator.py", str(url_file(tmp_path, web, paths)), *options, **variables))

    return fetch


def url_file(folder: Path, web: Web, paths: list[str]) -> Path:
    file = folder / "urls.txt"
    file.write_text("".join(f"{path if '://' in path else web.url + path}\n" for path in paths))
    return file


def row(out: str, name: str) -> str:
    found = re.search(rf"^ +{name} +(\S.*)$", out, re.MULTILINE)
    assert found is not None, f"no row {name!r} in:\n{out}"
    return found.group(1)


def test_urls_are_fetched_and_counted(fetch: Callable[..., Result]) -> None:
    """All good: a table, a row a URL in the timeline, the bytes, exit code 0."""
    result = fetch(["/ok?1", "/ok?2", "/slow"])
    assert (result.code, result.err) == (0, "")
    assert (row(result.out, "ok"), row(result.out, "failed")) == ("3", "-")
    assert "15 bytes in all" in result.out
    assert len(re.findall(r"█ +ok$", result.out, re.MULTILINE)) == 3


def test_comments_and_empty_lines_are_skipped(fetch: Callable[..., Result], web: Web, tmp_path: Path) -> None:
    """Lines with # and empty ones are no URLs."""
    file = tmp_path / "list.txt"
    file.write_text(f"# a comment\n\n  {web.url}/ok  \n#{web.url}/error\n")
    assert row(Result(run("aggregator.py", str(file))).out, "resources") == "1"
    assert web.asked == {"/ok": 1}


def test_each_kind_of_failure_is_counted_and_listed(fetch: Callable[..., Result], web: Web) -> None:
    """A hang, an error, a missing page, a dropped and a refused connection: counted by kind, none of them a crash."""
    paths = ["/ok", "/hang", "/error", "/missing", "/drop", "http://127.0.0.1:9/", "http://no-such-host.invalid/"]
    result = fetch(paths, "--timeout", "5", "--retries", "0")
    assert (result.code, result.err) == (0, "")
    counts = {name: row(result.out, name) for name in ("ok", "failed", "timeout", "5xx", "4xx", "connection")}
    assert counts == {"ok": "1", "failed": "6", "timeout": "1", "5xx": "1", "4xx": "1", "connection": "3"}
    listed = result.out.split("Failed: 6 of 7\n")[1]
    assert re.search(rf"timeout +{web.url}/hang +\(no answer within 5 s\)", listed)
    assert re.search(rf"5xx +{web.url}/error +\(500 ", listed)
    assert re.search(r"connection +http://no-such-host.invalid/ ", listed)


def test_only_what_may_pass_is_tried_again(fetch: Callable[..., Result], web: Web) -> None:
    """An error is tried again as often as asked for, one that passes counts as success, a missing page is final."""
    result = fetch(["/error", "/flaky", "/missing", "/ok"], "--retries", "2")
    assert web.asked == {"/error": 3, "/flaky": 2, "/missing": 1, "/ok": 1}
    assert (row(result.out, "retries"), row(result.out, "ok")) == ("3", "2")
    assert "ok, 2 tries" in result.out


def test_the_limit_is_kept(fetch: Callable[..., Result], web: Web) -> None:
    """Never more requests at once than --limit; that many when there is enough to do."""
    result = fetch([f"/slow?{n}" for n in range(9)], "--limit", "3")
    assert web.most == 3
    assert row(result.out, "most requests in flight") == "3"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["no-such-file.txt"], "cannot read no-such-file.txt: No such file or directory"),
        (["."], "cannot read .: Is a directory"),
        (["binary.txt"], "cannot read binary.txt: not a text file in UTF-8"),
        (["empty.txt"], "empty.txt holds no URLs"),
        (["bad.txt"], "bad.txt, line 2: expected an http:// or https:// URL, got 'ftp://example.com'"),
        (["good.txt", "--limit", "0"], "argument --limit: must be at least 1, got 0"),
        (["good.txt", "--limit", "many"], "argument --limit: expected a whole number, got 'many'"),
        (["good.txt", "--timeout", "0"], "argument --timeout: must be more than 0 seconds, got 0"),
        (["good.txt", "--timeout", "nan"], "argument --timeout: must be more than 0 seconds, got nan"),
        (["good.txt", "--retries", "-1"], "argument --retries: must be at least 0, got -1"),
        (["good.txt", "--fast"], "unrecognized arguments: --fast"),
        (["good.txt", "empty.txt"], "unrecognized arguments: empty.txt"),
    ],
)
def test_bad_arguments_end_with_one_clear_line(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, one line that names what is wrong, nothing on standard output."""
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "bad.txt").write_text("http://127.0.0.1/\nftp://example.com\n")
    (tmp_path / "good.txt").write_text("http://127.0.0.1:9/\n")
    monkeypatch.chdir(tmp_path)
    result = Result(run("aggregator.py", *arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err == f"aggregator.py: {complaint} (--help lists the options)\n"


def test_it_draws_with_plain_characters_where_blocks_cannot_be_encoded(fetch: Callable[..., Result]) -> None:
    """An ASCII terminal gets a drawing too, and no UnicodeEncodeError."""
    result = fetch(["/ok", "/slow", "/error"], "--retries", "1", PYTHONIOENCODING="ascii")
    assert result.code == 0
    assert result.out.isascii()
    assert re.search(r"/slow +#+ +ok", result.out)
    assert re.search(r"/error[^\n]*x-+=*x +5xx, 2 tries", result.out)


@pytest.mark.parametrize("columns", [70, 140])
def test_the_drawing_fills_the_width_and_not_more(fetch: Callable[..., Result], columns: int) -> None:
    """The bars use the terminal's width; the longest request spans nearly all cells."""
    result = fetch(["/slow", "/ok"], COLUMNS=str(columns))
    drawn = result.out.split("  bounded\n")[-1].splitlines()
    assert max(map(len, drawn)) <= columns
    assert max(line.count("█") for line in drawn if "/slow" in line) > (columns - 50) * 0.7


def on_terminal(arguments: list[str], columns: int) -> str:
    """What the aggregator writes to a terminal of that many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, str(EXAMPLES / "aggregator.py"), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        env=environment(TERM="xterm"),
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:
        pass  # how Linux says that the other end of a terminal is closed
    finally:
        os.close(ours)
        process.wait(timeout=LIMIT)
    return written.decode()


def test_on_a_terminal_one_progress_line_is_rewritten(tmp_path: Path, web: Web) -> None:
    """Progress stays on one line that never wraps, is gone at the end, and colours mark what failed."""
    file = url_file(tmp_path, web, [f"/slow?{n}" for n in range(6)] + ["/error"])
    written = on_terminal([str(file), "--limit", "2", "--retries", "0"], columns=90)
    progress = re.findall(r"\r\x1b\[2K([^\r\n]*of 7 done[^\r\n]*)", written)
    assert len(progress) >= 3
    visible = [re.sub(r"\x1b\[\d*m", "", line) for line in progress]
    assert max(map(len, visible)) < 90
    assert "\r\x1b[2K   6 of 7 arrived, 1 failed" in written
    assert "\x1b[31m" in written
