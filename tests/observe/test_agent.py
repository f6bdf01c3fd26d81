"""The agent as those see it who speak its protocol: `hocket.observe.protocol`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hocket
import hocket.observe
from hocket.observe import agent as agents
from hocket.observe import answers, meeting
from hocket.observe.protocol import LONGEST_REQUEST, PROTOCOL, decode, encode, revive
from tests.leftovers import no_new_descriptors

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="observed processes are for Linux so far")


class Asker:
    """A client that writes and reads lines."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        with meeting.short_name(path) as name:
            self.socket.connect(name)
        self.lines = self.socket.makefile("rb")
        self.hello = self.read()

    def read(self) -> dict[str, Any]:
        line = self.lines.readline()
        return json.loads(line) if line else {}  # type: ignore[no-any-return]

    def send(self, **request: Any) -> None:
        self.socket.sendall(encode(request))

    def answer(self) -> tuple[list[Any], dict[str, Any]]:
        """The rows of the next answer, and its last line."""
        rows = []
        while True:
            message = self.read()
            if "row" not in message:
                return rows, message
            rows.append(message["row"])

    def ask(self, **request: Any) -> tuple[list[Any], dict[str, Any]]:
        self.send(**request)
        return self.answer()

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hocket.observe.Agent]:
    """The agent of this process."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    yield hocket.observe.start_agent()
    hocket.observe.stop_agent()


@contextmanager
def asker(agent: hocket.observe.Agent) -> Iterator[Asker]:
    client = Asker(agent.path)
    yield client
    client.close()


@contextmanager
def waiting_tasks(count: int, name: str = "waiter") -> Iterator[asyncio.AbstractEventLoop]:
    """So many tasks that wait, on a loop in a thread of its own."""
    started = threading.Event()
    loop = hocket.new_event_loop()
    over: asyncio.Future[None] = loop.create_future()

    async def wait() -> None:
        await asyncio.shield(over)

    async def main() -> None:
        tasks = [asyncio.create_task(wait(), name=f"{name} {n}") for n in range(count)]
        await asyncio.sleep(0)
        together = asyncio.gather(*tasks)
        asyncio.get_running_loop().call_soon(started.set)  # when this waits, too
        await together

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    started.wait(30)
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(lambda: over.done() or over.set_result(None))
        thread.join(30)
        loop.close()


def test_agent_introduces_itself(agent: hocket.observe.Agent) -> None:
    """The first line says which process it is, which hocket, which protocol, and whether it may be steered."""
    with asker(agent) as client:
        assert (client.hello["process"], client.hello["protocol"]) == (os.getpid(), PROTOCOL)
        assert (client.hello["hocket"], client.hello["control"]) == (hocket.__version__, False)


def test_one_agent_a_process(agent: hocket.observe.Agent) -> None:
    """To start it twice gives the same, which allows what was asked for last."""
    assert hocket.observe.start_agent(allow_control=True) is agent
    with asker(agent) as client:
        assert client.hello["control"] is True


def test_agent_can_be_started_again(agent: hocket.observe.Agent) -> None:
    """A stopped agent has removed its socket; the next one is another."""
    hocket.observe.stop_agent()
    assert not os.path.exists(agent.path)
    other = hocket.observe.start_agent()
    assert other is not agent
    with asker(other) as client:
        assert client.hello["process"] == os.getpid()


def test_agent_leaves_no_descriptor(agent: hocket.observe.Agent) -> None:
    """An agent that is stopped has given every descriptor back, those of its clients included."""
    hocket.observe.stop_agent()
    with no_new_descriptors():
        again = hocket.observe.start_agent()
        with asker(again) as client:
            hocket.observe.stop_agent()
            assert client.read() == {}


def test_tasks_are_those_of_the_snapshot(agent: hocket.observe.Agent) -> None:
    """A row has the fields of the frozen object."""
    with waiting_tasks(2), asker(agent) as client:
        rows, last = client.ask(do="tasks", search="waiter")
        facts = [task for task in hocket.observe.snapshot().tasks if "waiter" in task.name]
        assert [row["number"] for row in rows] == [task.number for task in facts]
        assert set(rows[0]) == set(type(facts[0]).__dataclass_fields__)
        assert rows[0]["made_at"]["file"] == __file__
        assert (last["end"]["total"], last["end"]["matching"]) == (3, 2)
        assert last["end"]["states"] == {"running": 0, "ready": 0, "waiting": 3}


def test_so_many_of_those_who_are_waited_for(agent: hocket.observe.Agent) -> None:
    """Who shows a table does not want the numbers of ten thousand tasks because one waits for all of them."""

    async def child() -> None:
        await asyncio.sleep(3600)

    async def parent() -> None:
        await asyncio.gather(*(child() for _ in range(7)))

    async def look() -> None:
        task = asyncio.get_running_loop().create_task(parent(), name="parent")
        await asyncio.sleep(0.01)
        for few, most in ((3, 3), (None, 7)):
            rows, _ = await asyncio.to_thread(ask, few)
            assert rows[0]["waits_on"]["what"].startswith("7: Task-")
            assert len(rows[0]["waits_on"]["tasks"]) == most
        task.cancel()

    def ask(few: int | None) -> Any:
        with asker(agent) as client:
            return client.ask(do="tasks", search="parent", sort="name", waited_for=few)

    hocket.run(look())


def test_loops(agent: hocket.observe.Agent) -> None:
    """The loops are told of, with their histograms."""
    with waiting_tasks(1) as loop, asker(agent) as client:
        rows, _ = client.ask(do="loops")
        row = next(row for row in rows if row["number"] == loop._number)  # type: ignore[attr-defined]
        assert row["tasks"] == 2
        assert row["step_times"]["count"] == sum(row["step_times"]["counts"]) > 0


def test_requests_are_answered_in_turn(agent: hocket.observe.Agent) -> None:
    """Several requests at once are answered one after the other."""
    with waiting_tasks(1), asker(agent) as client:
        client.socket.sendall(encode({"do": "loops"}) + encode({"do": "tasks"}) + encode({"do": "loops"}))
        assert [list(client.answer()[1]) for _ in range(3)] == [["end"]] * 3


def test_client_that_has_said_all(agent: hocket.observe.Agent) -> None:
    """Who closes its side after the request, as ``nc -N`` does, gets the answer nevertheless."""
    with waiting_tasks(3), asker(agent) as client:
        client.send(do="tasks")
        client.socket.shutdown(socket.SHUT_WR)
        assert len(client.answer()[0]) == 4
        assert client.read() == {}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"ps\n", "expected a line of JSON"),
        (b"[1]\n", "expected a JSON object"),
        (b'{"verb": "ps"}\n', "expected a request"),
        (b"x" * (LONGEST_REQUEST + 1), "longer than"),
    ],
)
def test_what_is_no_request(line: bytes, why: str, agent: hocket.observe.Agent) -> None:
    """It is answered with what was expected, and the connection ends."""
    with asker(agent) as client:
        client.socket.sendall(line)
        assert why in client.read()["error"]
        assert client.read() == {}


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"do": "format"}, "expected one of tasks, loops"),
        ({"do": "tasks", "sort": "weight"}, "tasks cannot be sorted by 'weight'"),
        ({"do": "tasks", "sort": 7}, "sort must be a string"),
        ({"do": "tasks", "limit": -1}, "limit must be a whole number"),
        ({"do": "tasks", "states": ["asleep"]}, "states must be some of"),
        ({"do": "task"}, "task must be a number or a name"),
        ({"do": "task", "task": "nobody"}, "there is no task 'nobody'"),
        ({"do": "cancel", "task": 1}, "--allow-control"),
        ({"do": "troubles", "rules": [["W", "nonsense"]]}, "there is no warning 'nonsense' (but "),
        ({"do": "troubles", "rules": [["W", "long-step=x"]]}, "long-step=x: expected a threshold (seconds), got 'x'"),
        ({"do": "troubles", "rules": ["long-step"]}, "rules: expected pairs like"),
    ],
)
def test_request_that_cannot_be_met(request_: dict[str, Any], why: str, agent: hocket.observe.Agent) -> None:
    """It is answered with the reason, and the next request can be."""
    with asker(agent) as client:
        rows, last = client.ask(**request_)
        assert rows == [] and why in last["error"]
        assert "failed" not in last["error"]
        assert client.ask(do="loops")[1]["end"] is not None


def test_failure_of_an_answer(agent: hocket.observe.Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in the agent itself is said to the client, and the agent lives on."""
    monkeypatch.setattr("hocket.observe.answers.loop_facts", lambda *_: 1 / 0)
    with waiting_tasks(1), asker(agent) as client:
        assert client.ask(do="loops")[1] == {"error": "the agent failed: ZeroDivisionError: division by zero"}
        assert len(client.ask(do="tasks")[0]) == 2


def test_slow_reader_keeps_nobody(agent: hocket.observe.Agent) -> None:
    """A client that does not read is owed little at a time, and others are answered meanwhile."""
    with waiting_tasks(3000), asker(agent) as slow, asker(agent) as other:
        slow.send(do="tasks")
        time.sleep(0.1)
        assert len(other.ask(do="tasks", limit=5)[0]) == 5
        assert len(slow.answer()[0]) == 3001


def test_too_many_clients(agent: hocket.observe.Agent) -> None:
    """So many that nobody can have meant it are refused, with the reason."""
    clients = [Asker(agent.path) for _ in range(33)]
    try:
        assert "is being asked by 32 others" in clients[-1].hello["error"]
        assert clients[0].ask(do="loops")[1]["end"] is not None
    finally:
        for client in clients:
            client.close()


def test_other_users_are_refused(agent: hocket.observe.Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is neither the user nor root hears whose process it is, and nothing else."""
    monkeypatch.setattr(agents, "_user_of", lambda _: os.geteuid() + 1)
    with asker(agent) as client:
        assert client.hello == {
            "error": f"process {os.getpid()} belongs to user {os.geteuid()}, not to user {os.geteuid() + 1}"
        }
        assert client.read() == {}


def test_the_kernel_says_who_asks(agent: hocket.observe.Agent) -> None:
    """The user at the other end is the kernel's word, not the client's."""
    one, other = socket.socketpair()
    with one, other:
        assert agents._user_of(one) == os.geteuid()


def test_histograms_of_one_task(agent: hocket.observe.Agent) -> None:
    """A task that is watched counts its steps in histograms from then on, until its watcher goes."""
    stop = threading.Event()
    started = threading.Event()

    async def walk() -> None:
        started.set()
        while not stop.is_set():
            await asyncio.sleep(0.001)

    loop = hocket.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(walk()))
    thread.start()
    started.wait(30)
    try:
        with asker(agent) as client:
            task = loop.live()[0]
            assert task._histograms is None
            until = time.monotonic() + 30
            counts: dict[str, Any] = {}
            while not counts.get("count") and time.monotonic() < until:
                (row,), _ = client.ask(do="task", task=task._number, watch=True)
                counts = row["histograms"]["step_times"]
            assert sum(counts["counts"]) == counts["count"] > 0
            assert row["histograms"]["ready_delays"]["count"] > 0
        while task._histograms is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert task._histograms is None
    finally:
        stop.set()
        thread.join(30)
        loop.close()


def test_deadlocks(agent: hocket.observe.Agent) -> None:
    """Without a deadlock there is none."""
    with waiting_tasks(2), asker(agent) as client:
        assert client.ask(do="deadlocks")[0] == []


def test_primitives(agent: hocket.observe.Agent) -> None:
    """A primitive for which tasks wait is told of, with who has it, who waits, and its statistics."""
    loop = hocket.new_event_loop()
    started, over = threading.Event(), threading.Event()

    async def main() -> None:
        lock, event = hocket.Lock(), asyncio.Event()
        async with lock:
            tasks = [asyncio.create_task(lock.acquire(), name=f"acquirer {n}") for n in range(2)]
            tasks.append(asyncio.create_task(event.wait(), name="waiter"))
            await asyncio.sleep(0)
            started.set()
            await asyncio.to_thread(over.wait, 30)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    started.wait(30)
    try:
        with asker(agent) as client:
            rows, _ = client.ask(do="primitives")
    finally:
        over.set()
        thread.join(30)
        loop.close()
    found = {row["kind"]: row for row in rows if row["loop"] == loop._number}
    assert set(found) == {"lock", "event"}
    assert len(found["lock"]["holders"]) == 1
    assert len(found["lock"]["waiters"]) == 2
    assert found["lock"]["waits"] == 2
    assert len(found["event"]["waiters"]) == 1


def test_facts_are_what_they_were(agent: hocket.observe.Agent) -> None:
    """What was sent can be made into the frozen objects again."""
    with waiting_tasks(1) as loop, asker(agent) as client:
        rows, _ = client.ask(do="loops")
        row = next(row for row in rows if row["number"] == loop._number)  # type: ignore[attr-defined]
        revived = revive(hocket.observe.LoopFacts, row | {"unheard_of": 1})
        assert json.loads(encode({"row": revived}))["row"] == row
        (row,), _ = client.ask(do="tasks", search="waiter")
        task = revive(hocket.observe.TaskFacts, row)
        assert isinstance(task.stack[0], hocket.observe.Place) and isinstance(task.waits_on, hocket.observe.WaitFacts)
        assert json.loads(encode({"row": task}))["row"] == row


def test_cancel(agent: hocket.observe.Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task is cancelled in its own loop, and the answer says whether it was in time."""
    for patience in ("_DELIVERY", "_DELIVERY_TO_IDLE"):
        monkeypatch.setattr(answers, patience, 30.0)
    hocket.observe.start_agent(allow_control=True)
    loop = hocket.new_event_loop()
    started = threading.Event()
    ended: list[str] = []

    async def main() -> None:
        loop.call_soon(started.set)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            ended.append(str(error))

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    started.wait(30)
    with asker(agent) as client:
        (row,), _ = client.ask(do="cancel", task=_only_task(loop), message="by hand")
        assert (row["delivered"], row["accepted"]) == (True, True)
    thread.join(30)
    loop.close()
    assert ended == ["by hand"]


def _only_task(loop: Any) -> int:
    return int(loop.live()[0]._number)


# -- Where processes meet


def test_directory_in_the_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is the user's own, and nobody else can enter it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert meeting.own_directory() == str(tmp_path / "hocket")
    assert (tmp_path / "hocket").stat().st_mode & 0o777 == 0o700


def test_directory_that_was_open_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that others can enter is closed to them."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "hocket").mkdir()
    (tmp_path / "hocket").chmod(0o777)
    meeting.own_directory()
    assert (tmp_path / "hocket").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("runtime", ["", "relative", "/nowhere"])
def test_directory_without_a_runtime_directory(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a runtime directory that is one, it is in /tmp, with the user's number."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    candidates = [f"/run/user/{os.geteuid()}/hocket", f"/tmp/hocket-{os.geteuid()}"]
    assert meeting._directories(os.geteuid()) == [path for path in candidates if _there(path)]


def _there(path: str) -> bool:
    return path.startswith("/tmp") or os.path.isdir(os.path.dirname(path))


def test_directory_that_is_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is not followed: whoever can put one there could put it anywhere."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "hocket").symlink_to("elsewhere")
    with pytest.raises(meeting.Unsafe, match="is not a directory"):
        meeting.own_directory()


def test_directory_of_somebody_else(tmp_path: Path) -> None:
    """A directory that belongs to another user is not used."""
    with pytest.raises(meeting.Unsafe, match="does not belong to user"):
        meeting.check(str(tmp_path), os.geteuid() + 1)


def test_long_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that does not fit into an address is reached all the same."""
    runtime = tmp_path / ("long" * 30)
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    agent = hocket.observe.start_agent()
    try:
        with asker(agent) as client:
            assert client.hello["process"] == os.getpid()
        assert [address.process for address in meeting.addresses(os.geteuid())].count(os.getpid()) == 1
    finally:
        hocket.observe.stop_agent()


def test_socket_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose number a dead one had before takes its place."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = os.path.join(meeting.own_directory(), f"{os.getpid()}.sock")
    with socket.socket(socket.AF_UNIX) as left, meeting.short_name(path) as name:
        left.bind(name)
    agent = hocket.observe.start_agent()
    try:
        assert agent.path == path
        with asker(agent) as client:
            assert client.hello["process"] == os.getpid()
    finally:
        hocket.observe.stop_agent()


def test_nobody_meets_an_agent_that_does_not_listen_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else its socket would be taken for one left behind."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    listen, seen = socket.socket.listen, []

    def late(listener: socket.socket, *most: int) -> None:
        seen.append([address.path for address in meeting.addresses(os.geteuid()) if str(tmp_path) in address.path])
        listen(listener, *most)

    monkeypatch.setattr(agents.socket.socket, "listen", late, raising=False)
    agent = hocket.observe.start_agent()
    try:
        assert seen == [[]]
        assert os.listdir(tmp_path / "hocket") == [os.path.basename(agent.path)]
    finally:
        hocket.observe.stop_agent()


def test_place_that_is_taken(agent: hocket.observe.Agent) -> None:
    """A process of another container that has the same number keeps its place: the second has another."""
    other = agents.Agent()
    try:
        assert other.path != agent.path
        with asker(agent) as one, asker(other) as two:
            assert one.hello["process"] == two.hello["process"] == os.getpid()
        assert {address.path for address in meeting.addresses(os.geteuid())} >= {agent.path, other.path}
    finally:
        other.stop()


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"nonsense", b'"text"', b"[" * 100_000])
def test_lines_that_are_none_of_ours(line: bytes) -> None:
    """What is no JSON object is refused with what came."""
    with pytest.raises(ValueError, match="expected a"):
        decode(line)


# -- The first of many


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers()), max_size=8), max_size=6),
    st.booleans(),
    st.none() | st.integers(0, 10),
)
def test_the_first_of_many(runs: list[list[tuple[int, int]]], descending: bool, most: int | None) -> None:
    """They are those that sorting everything would put first, and equals stay in the order in which they came."""
    chosen = answers._Chosen(lambda it: it[0], descending, most)
    for run in runs:
        chosen.add(list(run))
    together = sorted((it for run in runs for it in run), key=lambda it: it[0], reverse=descending)
    assert list(chosen) == together[:most]
