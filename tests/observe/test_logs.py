"""Structured logs: who wrote a line, and for which request."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import logging.handlers
import queue
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

import hocket
from hocket.observe import snapshot
from hocket.observe.sinks import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is written by a handler that `logs.install` has made."""
    gc.collect()  # What earlier tests have left may tell of itself when it is collected.
    stream = io.StringIO()
    root = logging.getLogger()
    level = root.level
    handler = logs.install(stream)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_names_the_task(stream: io.StringIO) -> None:
    """Its name, and the numbers that `snapshot` has for it and its loop."""

    async def main() -> None:
        asyncio.current_task().set_name("the main one")  # type: ignore[union-attr]
        logging.getLogger("app").info("hello, %s", "you")
        [task] = snapshot().tasks
        [line] = lines(stream)
        assert (line["task"], line["task_number"], line["loop"]) == ("the main one", task.number, task.loop)
        assert (line["level"], line["logger"], line["message"]) == ("INFO", "app", "hello, you")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])

    hocket.run(main())


def test_outside_of_tasks(stream: io.StringIO) -> None:
    """Where no task runs, none is named."""
    logging.info("plain")
    [line] = lines(stream)
    assert set(line) == {"time", "level", "logger", "message"}


def test_in_a_callback(stream: io.StringIO) -> None:
    """A callback has a loop and no task."""
    loop = hocket.new_event_loop()
    loop.call_soon(logging.info, "from a callback")
    loop.call_soon(loop.stop)
    loop.run_forever()
    [line] = lines(stream)
    assert line["loop"] == loop._number and "task" not in line
    loop.close()


def test_on_a_stock_loop(stream: io.StringIO) -> None:
    """asyncio's own tasks are named too; they have no number."""

    async def main() -> None:
        logging.info("stock")

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())
    [line] = lines(stream)
    assert line["task"].startswith("Task-") and "task_number" not in line and "loop" not in line


def test_requests(stream: io.StringIO) -> None:
    """The identifier goes into tasks and threads that are started for the request, and into no other's."""

    async def handle(identifier: str) -> None:
        with logs.request(identifier):
            logging.info("begun")
            await asyncio.create_task(inner())
            await asyncio.to_thread(logging.info, "in a thread")
        logging.info("over")

    async def inner() -> None:
        await asyncio.sleep(0)
        logging.info("inside")

    async def main() -> None:
        await asyncio.gather(handle("a"), handle("b"))

    hocket.run(main())
    found = sorted((line["message"], line.get("request_id", "")) for line in lines(stream))
    assert found == [
        ("begun", "a"),
        ("begun", "b"),
        ("in a thread", "a"),
        ("in a thread", "b"),
        ("inside", "a"),
        ("inside", "b"),
        ("over", ""),
        ("over", ""),
    ]
    assert all("thread" in line for line in lines(stream) if line["message"] == "in a thread")


def test_a_request_without_identifier() -> None:
    """Gets one, another each time; inside of it, that is the one."""
    with logs.request() as first:
        assert logs.request_id.get() == first
        with logs.request() as second:
            assert logs.request_id.get() == second != first
        assert logs.request_id.get() == first
    assert logs.request_id.get() is None


def test_exceptions(stream: io.StringIO) -> None:
    """The traceback is one value of the line."""
    try:
        raise KeyError("what")
    except KeyError:
        logging.exception("it failed", stack_info=True)
    [line] = lines(stream)
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("KeyError: 'what'")
    assert "test_exceptions" in line["stack"]


def test_what_the_caller_adds(stream: io.StringIO) -> None:
    """``extra`` stands in the line; what JSON does not know, as its `repr`."""
    logging.info("sold", extra={"order": 7, "who": {"name": "é"}, "how": int})
    [line] = lines(stream)
    assert (line["order"], line["who"], line["how"]) == (7, {"name": "é"}, "<class 'int'>")


@pytest.mark.parametrize("hopeless", [{(1, 2): 3}, float("nan"), "\ud800"], ids=["keys", "nan", "surrogate"])
def test_a_line_is_json_whatever_is_in_it(stream: io.StringIO, hopeless: Any) -> None:
    """What cannot be said is said some other way: a line is never lost."""
    logging.info("odd", extra={"value": hopeless})
    text = stream.getvalue()
    text.encode()
    json.loads(text, parse_constant=pytest.fail)
    assert lines(stream)[0]["message"] == "odd"


def test_what_holds_itself(stream: io.StringIO) -> None:
    """A value that JSON would never come to the end of."""
    endless: list[Any] = []
    endless.append(endless)
    logging.info("odd", extra={"value": endless})
    assert lines(stream)[0]["value"] == "[[...]]"


def test_behind_a_queue() -> None:
    """The filter on the queue's handler notes who wrote; who formats it later, in another thread, cannot know."""
    stream = io.StringIO()
    target = logging.StreamHandler(stream)
    target.setFormatter(logs.JsonFormatter())
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(waiting, target)
    handler = logging.handlers.QueueHandler(waiting)
    handler.addFilter(logs.ForTasks())
    logger = logging.getLogger("behind a queue")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)

    async def main() -> None:
        with logs.request("r"):
            logger.info("queued")

    listener.start()
    hocket.run(main())
    listener.stop()
    logger.removeHandler(handler)
    [line] = lines(stream)
    assert line["request_id"] == "r" and line["task"].startswith("Task-")


def test_a_format_of_ones_own() -> None:
    """A format string can name the attributes; where there is nothing, there is a dash."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(logs.ForTasks())
    handler.setFormatter(logging.Formatter("%(task)s %(request_id)s %(message)s"))
    logger = logging.getLogger("a format of one's own")
    logger.propagate = False
    logger.addHandler(handler)

    async def main() -> None:
        logger.warning("inside")

    logger.warning("outside")
    hocket.run(main(), debug=False)
    logger.removeHandler(handler)
    outside, inside = stream.getvalue().splitlines()
    assert outside == "- - outside"
    assert re.fullmatch(r"Task-\d+ - inside", inside)


def test_structlog() -> None:
    """As a processor: what is bound already is kept."""
    log = structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[logs.for_tasks, structlog.processors.JSONRenderer()]
    )

    async def main() -> str:
        with logs.request("r"):
            return log.info("said", loop="mine")  # type: ignore[no-any-return]

    line = json.loads(hocket.run(main()))
    assert (line["event"], line["request_id"], line["loop"]) == ("said", "r", "mine")
    assert line["task"].startswith("Task-")


def test_a_thread_without_a_loop(stream: io.StringIO) -> None:
    """Is named; nothing else is."""
    thread = threading.Thread(target=logging.info, args=["alone"], name="worker")
    thread.start()
    thread.join()
    [line] = lines(stream)
    assert line["thread"] == "worker" and "task" not in line
