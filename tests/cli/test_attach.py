"""Looking into a process from outside: ``hocket ps``, ``where`` and ``cancel``."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hocket.cli import client
from hocket.observe import meeting

from .observed import observed, running
from .workplace import Workplace, refused

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="observed processes are for Linux so far")

WORKERS = """
    import asyncio
    async def worker(lock):
        async with lock:
            await asyncio.sleep(0)
    async def main():
        lock = asyncio.Lock()
        await lock.acquire()
        tasks = [asyncio.create_task(worker(lock), name=f"worker {n}") for n in range(3)]
        await asyncio.sleep(0)
        together = asyncio.gather(*tasks, return_exceptions=True)
        asyncio.get_running_loop().call_soon(print, "ready")  # when this waits, too
        await together
        print("over")
    asyncio.run(main())
"""

#: What the loop is in the middle of, in a function of its own.
BLOCKED = """
    import asyncio, time
    def compute():
        {block}
    async def idle():
        await asyncio.sleep(3600)
    async def busy():
        print("ready")
        compute()
    async def main():
        other = asyncio.create_task(idle(), name="idle")
        await asyncio.sleep(0)
        await asyncio.create_task(busy(), name="busy")
    asyncio.run(main())
"""

BLOCKS = {"asleep": "time.sleep(60)", "computing": "while True: pass"}


# -- ps


def test_ps_lists_every_task(workplace: Workplace) -> None:
    """``ps`` shows each task with its state and where it stands in the program."""
    with observed(workplace, WORKERS) as process:
        lines = process.printed("ps").splitlines()
        assert lines[0] == f"process {process.process}: observed0.py"
        assert lines[1] == "tasks: 4 (4 waiting)"
        assert lines[3].split()[:2] == ["TASK", "NAME"]
        assert [line.split()[1] for line in lines[4:]] == ["Task-1", "worker", "worker", "worker"]
        assert all("observed0.py:4 worker" in line for line in lines[5:])


@pytest.mark.parametrize("block", BLOCKS)
def test_ps_while_the_loop_is_blocked(block: str, workplace: Workplace) -> None:
    """A loop that is blocked does not keep ``ps`` from saying by whom, and ``where`` from saying at which line."""
    with observed(workplace, BLOCKED.format(block=BLOCKS[block])) as process:
        tasks = json.loads(process.printed("ps", "--format", "json"))["tasks"]
        assert {task["name"]: task["state"] for task in tasks} == {
            "Task-1": "waiting",
            "idle": "waiting",
            "busy": "running",
        }
        told = process.printed("where", "busy")
        assert "in compute\n" in told and "in busy\n    compute()" in told


def test_ps_as_csv(workplace: Workplace) -> None:
    """``--format csv`` gives a line a task, times in seconds."""
    with observed(workplace, WORKERS) as process:
        rows = list(csv.DictReader(io.StringIO(process.printed("ps", "--format", "csv"))))
        assert [row["name"] for row in rows] == ["Task-1", "worker 0", "worker 1", "worker 2"]
        assert rows[1]["where"].endswith("observed0.py:4")
        assert rows[1]["parent"] == rows[0]["number"]
        assert float(rows[1]["since"]) > 0.0


def test_ps_in_order(workplace: Workplace) -> None:
    """``--sort``, ``--reverse``, ``--limit`` and ``--search`` choose what is shown, and the rest is counted."""
    with observed(workplace, WORKERS) as process:
        told = process.printed("ps", "--sort", "name", "--reverse", "--limit", "1", "--search", "WORKER")
        lines = told.splitlines()
        assert [line.split()[1:3] for line in lines[4:5]] == [["worker", "2"]]
        assert lines[5:] == ["… and 2 more: --limit 0 shows all of them"]
        assert "worker" not in process.printed("ps", "--state", "ready")


def test_every_column_can_be_sorted_by(workplace: Workplace) -> None:
    """Each order that ``ps --help`` names is one that the process knows."""
    from hocket.cli.ps import ORDERS

    with observed(workplace, WORKERS) as process:
        for order in ORDERS:
            assert "worker 1" in process.printed("ps", "--sort", order, "--reverse")


def test_unknown_order(workplace: Workplace) -> None:
    """A column that does not exist is refused by its name, with those that do."""
    line = refused(workplace.hocket("ps", "--sort", "weight"))
    assert "'weight'" in line and "longest" in line


# -- where


def test_where_by_number_and_by_name(workplace: Workplace) -> None:
    """A task is found by its number and by its name, and shown with its stack, source and origin."""
    with observed(workplace, WORKERS) as process:
        told = process.printed("where", "worker 1")
        assert 'observed0.py", line 4, in worker\n    async with lock:\n' in told
        assert "made at observed0.py:9 main" in told and "by task 1\n" in told
        assert "waits on  " in told
        number = json.loads(process.printed("where", "worker 1", "--format", "json"))["task"]["number"]
        assert process.printed("where", str(number)).splitlines()[0].startswith(f"task {number} 'worker 1', waiting")


def test_where_as_csv(workplace: Workplace) -> None:
    """``--format csv`` gives a line a place of the stack."""
    with observed(workplace, WORKERS) as process:
        rows = list(csv.DictReader(io.StringIO(process.printed("where", "worker 1", "--format", "csv"))))
        assert (rows[0]["function"], rows[0]["source"]) == ("worker", "async with lock:")


def test_where_of_no_task(workplace: Workplace) -> None:
    """A task that does not exist is refused by what it was called."""
    with observed(workplace, WORKERS) as process:
        assert refused(process.ask("where", "nobody")) == "there is no task 'nobody' (any more)"


def test_where_of_several_tasks(workplace: Workplace) -> None:
    """A name that several tasks have is refused with their numbers."""
    with observed(workplace, WORKERS.replace("worker {n}", "worker")) as process:
        line = refused(process.ask("where", "worker"))
        assert line.startswith("3 tasks have the name 'worker': give a number, ")


def test_where_says_who_could_wake_it(workplace: Workplace) -> None:
    """Of a task that waits for a lock, that is who holds the lock; of one that sleeps, its timer."""
    source = """
        import asyncio, hocket
        async def holder(lock):
            async with lock:
                await asyncio.sleep(3600)
        async def waiter(lock):
            async with lock:
                pass
        async def main():
            lock = hocket.Lock()
            tasks = [asyncio.create_task(one(lock), name=one.__name__) for one in (holder, waiter)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            together = asyncio.gather(*tasks)
            asyncio.get_running_loop().call_soon(print, "ready")  # when this waits, too
            await together
        asyncio.run(main())
    """
    with observed(workplace, source) as process:
        told = process.printed("where", "waiter")
        assert re.search(r"^waits on     lock task \d+: Lock at .*, held by holder$", told, re.MULTILINE)
        assert re.search(r"^wakeable by  task \d+ 'holder' holds it$", told, re.MULTILINE)
        assert re.search(r"^wakeable by  a timer, in 3\d+\.\d+ s$", process.printed("where", "holder"), re.MULTILINE)


# -- pstree

DEADLOCK = """
    import asyncio, hocket
    async def both(first, second):
        async with first:
            await asyncio.sleep(0.01)
            async with second:
                pass
    async def main():
        a, b = hocket.Lock(), hocket.Lock()
        one = asyncio.create_task(both(a, b), name="one")
        other = asyncio.create_task(both(b, a), name="other")
        await asyncio.sleep(0.1)
        together = asyncio.gather(one, other)
        asyncio.get_running_loop().call_soon(print, "ready")  # when this waits, too
        await together
    asyncio.run(main())
"""


def test_pstree(workplace: Workplace) -> None:
    """A task stands below the one that awaits it, with what it waits for."""
    with observed(workplace, WORKERS) as process:
        lines = process.printed("pstree").splitlines()
        assert lines[0] == f"process {process.process}: observed0.py"
        assert lines[1].startswith("loop 1: 4 tasks (4 waiting)")
        assert lines[2].startswith("└── Task-1 waits for gather")
        assert [line.split(" waits")[0] for line in lines[3:]] == [
            "    ├── worker 0",
            "    ├── worker 1",
            "    └── worker 2",
        ]


def test_pstree_with_a_deadlock(workplace: Workplace) -> None:
    """Tasks that wait for each other are told, with what each waits for, in every format."""
    with observed(workplace, DEADLOCK) as process:
        assert "deadlock: 2 tasks wait for each other" in process.printed("pstree")
        told = json.loads(process.printed("pstree", "--format", "json"))
        names = {task["number"]: task["name"] for task in told["tasks"]}
        assert [[names[number] for number in cycle] for cycle in told["deadlocks"]] == [["one", "other"]]
        rows = list(csv.DictReader(io.StringIO(process.printed("pstree", "--format", "csv"))))
        assert {row["name"]: row["deadlock"] for row in rows} == {"Task-1": "", "one": "1", "other": "1"}


def test_pstree_while_the_loop_is_blocked(workplace: Workplace) -> None:
    """A loop that is blocked does not keep its tasks from being drawn."""
    with observed(workplace, BLOCKED.format(block="time.sleep(60)")) as process:
        assert "busy is running" in process.printed("pstree")


# -- dump


def test_dump(workplace: Workplace) -> None:
    """``dump`` writes what the flight recorder has, in the format that the name of the file says."""
    with observed(workplace, WORKERS, "--recorder") as process:
        assert re.fullmatch(r"[\d,]+ records: now\.jsonl\n", process.printed("dump", "-o", "now.jsonl"))
        events = [json.loads(line) for line in (workplace.directory / "now.jsonl").read_text().splitlines()]
        assert "worker 1" in str(events)
        assert not (workplace.directory / "now.jsonl.recording").exists()
        row = json.loads(process.printed("dump", "--format", "json"))
        assert row["path"] == str(workplace.directory / f"hocket-{process.process}.recording")
        assert row["bytes"] == os.path.getsize(row["path"]) and row["records"] > 0


def test_dump_while_the_loop_is_blocked(workplace: Workplace) -> None:
    """What led to a blocked loop can be had while it is blocked."""
    with observed(workplace, BLOCKED.format(block="time.sleep(60)"), "--recorder") as process:
        assert " records: " in process.printed("dump", "-o", "now.recording")


def test_dump_without_a_recorder(workplace: Workplace) -> None:
    """A process without a recorder says so; one can be had for a while, and is gone afterwards."""
    with observed(workplace, WORKERS) as process:
        assert "hocket run --recorder" in refused(process.ask("dump"))
        assert " records: " in process.printed("dump", "--record", "0.2")
        assert "has no flight recorder running" in refused(process.ask("dump"))


def test_dump_into_nowhere(workplace: Workplace) -> None:
    """A file that cannot be written is told with the reason."""
    with observed(workplace, WORKERS, "--recorder") as process:
        line = refused(process.ask("dump", "-o", "nowhere/now.recording"))
        assert line.startswith("the process cannot write ") and line.endswith("No such file or directory")


@pytest.mark.parametrize("arguments", [("-o", "trace.txt"), ("--seconds", "-1"), ("--record", "soon")])
def test_dump_of_what_cannot_be(arguments: tuple[str, ...], workplace: Workplace) -> None:
    """What is asked for wrongly is refused before any process is asked."""
    assert refused(workplace.hocket("dump", *arguments)).startswith("dump: ")


# -- cancel


def test_cancel(workplace: Workplace) -> None:
    """``cancel`` cancels a task, if the program was started with ``--allow-control``."""
    with observed(workplace, WORKERS, "--allow-control", observe="") as process:
        for n in range(3):
            assert process.printed("cancel", f"worker {n}").endswith("is cancelled\n")
        assert process.line() == "over"


def test_cancel_is_refused(workplace: Workplace) -> None:
    """A process that does not allow it keeps its tasks, and says what would allow it."""
    with observed(workplace, WORKERS) as process:
        assert "--allow-control" in refused(process.ask("cancel", "worker 0"))
        assert "tasks: 4" in process.printed("ps")


def test_cancel_while_the_loop_is_blocked(workplace: Workplace) -> None:
    """What a blocked loop cannot deliver yet is said so, with the name of the task that blocks it."""
    with observed(workplace, BLOCKED.format(block="time.sleep(60)"), "--allow-control") as process:
        told = process.printed("cancel", "idle")
        assert "will be cancelled when its loop goes on, which is blocked by task 'busy'" in told


# -- Which process


def test_no_process(workplace: Workplace) -> None:
    """Without an observed process, a verb says how to have one."""
    (workplace.directory / "runtime").mkdir()
    line = refused(workplace.hocket("ps", XDG_RUNTIME_DIR=str(workplace.directory / "runtime")))
    if line.startswith("no process"):  # Nobody else on this machine is observed.
        assert line == (
            "no process of yours is observed: "
            "start it with hocket run --observe, or with HOCKET_OBSERVE=1 in its environment"
        )


def test_several_processes(workplace: Workplace) -> None:
    """With several, they are listed, and one is chosen by its number."""
    with observed(workplace, WORKERS) as one, observed(workplace, WORKERS) as other:
        ended = one.ask("ps")
        assert ended.code == 2
        head, *listed = ended.stderr.splitlines()
        assert head == "hocket: 2 processes are observed, say which by its number:"
        assert sorted(int(line.split()[0]) for line in listed) == sorted([one.process, other.process])
        assert f"process {other.process}:" in one.printed("ps", str(other.process))


def test_process_that_is_not_observed(workplace: Workplace) -> None:
    """A process without an agent is told from one that is not there."""
    with running(workplace, WORKERS) as process:
        line = refused(process.ask("ps", str(process.process)))
        assert line.startswith(f"process {process.process} is not observed: start it with hocket run --observe")


def test_process_that_never_was(workplace: Workplace) -> None:
    """A number that no process has is refused."""
    assert refused(workplace.hocket("ps", "99999999")) == "there is no process 99999999"


def test_process_that_was_killed(workplace: Workplace) -> None:
    """A socket that a dead process has left behind is said to be stale, and removed."""
    with observed(workplace, WORKERS) as process:
        path = workplace.directory / "runtime" / "hocket" / f"{process.process}.sock"
        assert path.exists()
        process.child.kill()
        process.child.wait(30)
        assert refused(process.ask("ps", str(process.process))) == (
            f"process {process.process} has ended; the socket that it had left behind is removed"
        )
        assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may look into every process")
def test_process_of_another_user(workplace: Workplace) -> None:
    """Somebody else's process is refused: here the first of the system, which is root's."""
    line = refused(workplace.hocket("ps", "1"))
    assert line == "process 1 belongs to user root: only that user and root can look into it"


@contextmanager
def impostor(workplace: Workplace, greeting: bytes) -> Iterator[int]:
    """Something at the place of an agent that says *greeting*; gives its number."""
    directory = workplace.directory / "runtime" / "hocket"
    directory.mkdir(mode=0o700, parents=True)
    directory.parent.chmod(0o700)
    workplace.environment["XDG_RUNTIME_DIR"] = str(directory.parent)
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(directory)  # The path may be too long for an address.
        try:
            listener.bind(f"{os.getpid()}.sock")
        finally:
            os.chdir(here)
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        yield os.getpid()
        thread.join(30)


def test_other_protocol(workplace: Workplace) -> None:
    """An agent of another version is told with both versions, and the command that would understand it."""
    hello = {"hocket": "9.0", "protocol": 99, "process": 1, "executable": "/opt/new/bin/python"}
    with impostor(workplace, json.dumps(hello).encode() + b"\n") as process:
        line = refused(workplace.hocket("ps", str(process)))
    assert f"process {process} has hocket 9.0, whose agent speaks protocol 99" in line
    assert line.endswith("ask with /opt/new/bin/python -m hocket")


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH\n", b'{"jsonrpc": "2.0"}\n', b"[]\n"])
def test_no_agent(greeting: bytes, workplace: Workplace) -> None:
    """Whatever else answers there is not taken for an agent."""
    with impostor(workplace, greeting) as process:
        assert refused(workplace.hocket("ps", str(process))).endswith("is no agent of hocket")


def test_process_that_ends_in_the_middle(workplace: Workplace) -> None:
    """A process that hangs up has ended."""
    with impostor(workplace, b"") as process:
        assert refused(workplace.hocket("ps", str(process))) == f"process {process} has ended"


@pytest.mark.slow
def test_process_that_is_stopped(workplace: Workplace) -> None:
    """A process that cannot answer because it is stopped is said to be."""
    with observed(workplace, WORKERS) as process:
        os.kill(process.process, signal.SIGSTOP)
        line = refused(process.ask("ps"))
        assert line == (f"process {process.process} does not answer: it is stopped (by a signal, or in a debugger)")


def test_a_socket_that_takes_the_place_of_one_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stays, though nobody answered at that place a moment ago."""
    path = str(tmp_path / "1.sock")
    monkeypatch.chdir(tmp_path)  # The path may be too long for an address.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("1.sock")
    with socket.socket(socket.AF_UNIX) as other:

        @contextmanager
        def short_name(path: str) -> Iterator[str]:
            try:
                yield "1.sock"
            finally:
                other.bind("other")
                os.rename("other", path)

        monkeypatch.setattr(meeting, "short_name", short_name)
        assert client._reach(meeting.Address(1, path)) is None
        assert os.path.exists(path)


# -- In need


def test_out_of_descriptors(workplace: Workplace) -> None:
    """A process that has no descriptor to spare answers nevertheless, one after the other, for as long as it likes."""
    source = """
        import asyncio, os, resource, sys
        async def main():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            kept = []
            try:
                while True:
                    kept.append(os.dup(0))
            except OSError:
                asyncio.get_running_loop().call_soon(print, "ready")  # when this waits, too
            await asyncio.sleep(3600)
        asyncio.run(main())
    """
    with observed(workplace, source) as process:
        for _ in range(3):
            assert "tasks: 1 (1 waiting)" in process.printed("ps")
            assert "await asyncio.sleep(3600)" in process.printed("where", "1")


@pytest.mark.slow
def test_many_tasks(workplace: Workplace) -> None:
    """With 100,000 tasks, ``ps`` shows the first thousand and counts the others; all of them are to be had."""
    source = """
        import asyncio
        async def main():
            tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(99_999)]
            await asyncio.sleep(0)
            together = asyncio.gather(*tasks)
            asyncio.get_running_loop().call_soon(print, "ready")  # when this waits, too
            await together
        asyncio.run(main())
    """
    with observed(workplace, source) as process:
        before = time.monotonic()
        lines = process.printed("ps").splitlines()
        assert time.monotonic() - before < 30.0
        assert lines[1].startswith("tasks: 100,000 (") and len(lines) == 1005
        assert len(process.printed("ps", "--format", "csv").splitlines()) == 100_001
        assert "tasks.py" in process.printed("where", "Task-50000")


# -- Who is observed


def test_the_socket_is_for_its_user_alone(workplace: Workplace) -> None:
    """The socket has mode 0600 in a directory of mode 0700, and is gone with the process."""
    with observed(workplace, WORKERS) as process:
        path = workplace.directory / "runtime" / "hocket" / f"{process.process}.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        process.child.terminate()
        process.child.wait(30)
    with observed(workplace, "import asyncio; asyncio.run(asyncio.sleep(0)); print('ready')") as process:
        process.child.wait(30)
        assert not path.with_name(f"{process.process}.sock").exists()


@pytest.mark.parametrize(("value", "observes"), [("1", True), ("control", True), ("0", False), ("", False)])
def test_environment(value: str, observes: bool, workplace: Workplace) -> None:
    """HOCKET_OBSERVE has any program that uses hocket observed, without ``hocket run``."""
    source = WORKERS.replace("asyncio.run(", "import hocket; hocket.run(")
    with running(workplace, source, HOCKET_OBSERVE=value) as process:
        ended = process.ask("ps", str(process.process), HOCKET_OBSERVE=value)
        assert (ended.code == 0) is observes


def test_a_program_that_cannot_be_observed_runs(workplace: Workplace) -> None:
    """Where nobody can meet it, a program is told so in the log, and runs."""
    (workplace.directory / "runtime").mkdir()
    (workplace.directory / "runtime" / "hocket").write_text("")
    workplace.write("program.py", "import asyncio; asyncio.run(asyncio.sleep(0)); print('done')")
    ended = workplace.hocket("run", "--observe", "program.py", XDG_RUNTIME_DIR=str(workplace.directory / "runtime"))
    assert (ended.code, ended.stdout) == (0, "done\n")
    assert "cannot be observed" in ended.stderr and "is not a directory" in ended.stderr


def test_forked_child_is_observed_itself(workplace: Workplace) -> None:
    """The child of a fork is met on its own, once it has a loop, and leaves its parent's socket alone."""
    source = """
        import asyncio, os, warnings
        warnings.simplefilter("ignore")  # Of threads in a process that forks.
        async def main(name):
            task = asyncio.create_task(asyncio.sleep(3600), name=name)
            if child:
                asyncio.get_running_loop().call_soon(print, "ready\\n" + str(child))  # when this waits, too
            await task
        asyncio.run(asyncio.sleep(0))
        child = os.fork()
        asyncio.run(main("parent" if child else "child"))
    """
    with observed(workplace, source) as process:
        child = process.line()
        try:
            assert " parent " in process.printed("ps", str(process.process))
            until = time.monotonic() + 30.0
            while process.ask("ps", child).code != 0 and time.monotonic() < until:
                pass
            assert " child " in process.printed("ps", child)
            assert " parent " in process.printed("ps", str(process.process))
        finally:
            os.kill(int(child), signal.SIGKILL)
