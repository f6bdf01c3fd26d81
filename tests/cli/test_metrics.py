"""``hocket run --metrics``."""

from __future__ import annotations

import re
import socket

import pytest

from tests.ports import free_port

from .workplace import Ended, Workplace, refused

PROGRAM = """
    import asyncio, os, sys, urllib.request
    def scrape():
        with urllib.request.urlopen(sys.argv[1].format(os.environ.get("PORT"))) as response:
            return response.read().decode()
    async def main():
        print(await asyncio.to_thread(scrape))
    asyncio.run(main())
"""


@pytest.mark.parametrize("address", ["", "127.0.0.1:"], ids=["port", "address and port"])
def test_the_program_can_be_scraped(workplace: Workplace, address: str) -> None:
    """While it runs, at the port that was named; stderr says where, stdout is the program's."""
    workplace.write("program.py", PROGRAM)
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    ended = workplace.hocket("run", "--metrics", f"{address}{port}", "program.py", url, HOCKET_BLOCKED_AFTER="off")
    assert (ended.code, ended.stderr) == (0, f"hocket: metrics at {url}\n")
    assert re.search(r'^hocket_task_count{loop="1",state="(waiting|running)"} 1\.0$', ended.stdout, re.MULTILINE)
    assert "process_cpu_seconds_total" in ended.stdout


def test_a_free_port(workplace: Workplace) -> None:
    """Port 0 takes one, and says which."""
    workplace.write("program.py", "print('done')")
    ended = workplace.hocket("run", "--metrics", "0", "program.py", HOCKET_BLOCKED_AFTER="off")
    assert (ended.code, ended.stdout) == (0, "done\n")
    assert re.fullmatch(r"hocket: metrics at http://127\.0\.0\.1:[1-9]\d*/metrics\n", ended.stderr)


def test_a_port_that_is_taken(workplace: Workplace) -> None:
    """One line, exit code 2, and the program is not begun."""
    workplace.write("program.py", "print('begun')")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = workplace.hocket("run", "--metrics", str(port), "program.py")
    message = f"hocket: run: --metrics 127.0.0.1:{port}: Address already in use\n"
    assert ended == Ended(2, "", message)


@pytest.mark.parametrize("text", ["", "http", "-1", "65536", ":9100", "127.0.0.1:", "1.5"])
def test_what_is_no_port(workplace: Workplace, text: str) -> None:
    """Is refused before anything is begun."""
    workplace.write("program.py", "print('begun')")
    message = refused(workplace.hocket("run", f"--metrics={text}", "program.py"))
    assert message == f"run: --metrics expects [ADDRESS:]PORT, got {text!r}"


def test_without_the_package(workplace: Workplace) -> None:
    """Who has not installed prometheus_client is told what to install."""
    workplace.write("sitecustomize.py", "import sys\nsys.modules['prometheus_client'] = None\n")
    workplace.write("program.py", "print('begun')")
    path = f"{workplace.directory}:{workplace.environment['PYTHONPATH']}"
    message = refused(workplace.hocket("run", "--metrics", "0", "program.py", PYTHONPATH=path))
    assert message == "run: --metrics needs prometheus_client: pip install 'hocket[prometheus]'"
