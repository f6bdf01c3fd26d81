"""Structured logs: each line says which task wrote it, and for which request.

A request has an identifier, which goes wherever its context goes: into the tasks that it starts, and into the threads
of ``to_thread``.  `ForTasks` puts it, and the task, into the records of `logging`; `JsonFormatter` writes a record as
one line of JSON; `for_tasks` does the same for structlog.

    import logging
    from hocket.observe.sinks import logs

    logs.install()

    async def handle(request):
        with logs.request(request.headers.get("x-request-id")):
            logging.info("begun")   # {"time": …, "message": "begun", "task": "Task-7", "request_id": "f81d4fae", …}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO

from hocket.core import asyncio_private
from hocket.core.task import Task

#: The identifier of the request that is being served; None: none is.
request_id: ContextVar[str | None] = ContextVar("hocket.request_id", default=None)


@contextlib.contextmanager
def request(identifier: str | None = None) -> Iterator[str]:
    """Everything in here, and the tasks that it starts, is for the request *identifier*; None makes one up.

    with logs.request() as identifier:
        response.headers["x-request-id"] = identifier
    """
    name = identifier or secrets.token_hex(8)
    token = request_id.set(name)
    try:
        yield name
    finally:
        request_id.reset(token)


def fields() -> dict[str, Any]:
    """Who runs here and now: ``task``, ``task_number`` and ``loop`` if a task does, and ``request_id``.

    The numbers are those of `hocket.observe.snapshot`; stock tasks and loops have none.
    """
    found: dict[str, Any] = {}
    loop = asyncio_private.running_loop()
    task = None if loop is None else asyncio.current_task(loop)
    if task is not None:
        found["task"] = task.get_name()
    if isinstance(task, Task):
        found["task_number"] = task._number
    number = getattr(loop, "_number", None)
    if number is not None:
        found["loop"] = number
    identifier = request_id.get()
    if identifier is not None:
        found["request_id"] = identifier
    return found


#: What `fields` may say; a record on which they do not hold has "-", so that a format string can name them all.
NAMES = ("task", "task_number", "loop", "request_id")


class ForTasks(logging.Filter):
    """Gives each record the attributes ``task``, ``task_number``, ``loop`` and ``request_id``.  It lets all through.

    It belongs on the handler that is called first: on a `logging.handlers.QueueHandler`, not behind the queue::

        handler.addFilter(ForTasks())
        handler.setFormatter(logging.Formatter("%(asctime)s %(task)s %(request_id)s %(message)s"))
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Put in what the record does not have yet."""
        if "task" not in record.__dict__:
            found = fields()
            for name in NAMES:
                record.__dict__.setdefault(name, found.get(name, "-"))
        return True


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON.

    ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``message``; ``task``, ``task_number``, ``loop`` and ``request_id``
    if there are any; ``thread`` unless it is the main one; ``exception`` and ``stack``; and whatever was given as
    ``extra``.  What JSON has no form for is written as its `repr`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": _iso(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        # Behind a queue it is too late to ask who runs.
        known = record.__dict__ if "task" in record.__dict__ or record.thread != threading.get_ident() else fields()
        line.update((name, known[name]) for name in NAMES if known.get(name, "-") != "-")
        if record.threadName != "MainThread":
            line["thread"] = record.threadName
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        for name, value in record.__dict__.items():
            if name not in _OF_EVERY_RECORD and name not in line and value != "-":
                line[name] = value
        try:
            return json.dumps(line, allow_nan=False, default=repr)
        except (TypeError, ValueError, RecursionError):
            # Keys that are no text, what is not a number, or something that holds itself.
            return json.dumps({name: _plain(value) for name, value in line.items()})


_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime", *NAMES}


def _iso(seconds: float) -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{moment}.{int(seconds % 1 * 1e6):06d}Z"


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, str)) else repr(value)


def install(stream: TextIO | None = None, level: int | str = logging.INFO) -> logging.Handler:
    """Have everything from *level* on that is logged in this process written to *stream*, `sys.stderr` by default, as
    JSON; returns the handler.  Nothing else that `logging` has been told to do is undone."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(ForTasks())
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    return handler


def for_tasks(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor for structlog: adds `fields` to an event; what is bound already is kept.

    structlog.configure(processors=[for_tasks, structlog.processors.JSONRenderer()])
    """
    for name, value in fields().items():
        event.setdefault(name, value)
    return event
