"""`hocket.propagate.asgi.Deadlines` around applications that are slow, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

import hocket
from hocket.propagate.asgi import Deadlines
from tests.virtual import run


def now() -> float:
    return asyncio.get_running_loop().time()


class Answer:
    """What a client has got."""

    def __init__(self) -> None:
        self.began = now()
        self.seconds = -1.0
        self.messages: list[Any] = []

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        self.seconds = now() - self.began

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


async def ask(app: Any, **headers: str) -> Answer:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> Any:
        return {"type": "http.request"}

    answer = Answer()
    await app(scope, receive, answer.send)
    return answer


async def respond(send: Any, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def after(seconds: float) -> Callable[..., Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(seconds)
        await respond(send, 200, f"{hocket.remaining():.3f}".encode())

    return app


async def cached(scope: Any, receive: Any, send: Any) -> None:
    await respond(send, 200, b"cached")


def test_an_answer_in_time_is_not_touched() -> None:
    """And the application knows how much time it has."""

    async def main() -> tuple[int, bytes]:
        answer = await ask(Deadlines(after(0.1), 0.5))
        return answer.status, answer.body

    assert run(main()) == (200, b"0.400")


def test_the_time_of_the_caller_counts_if_it_is_shorter() -> None:
    """It is in a header, whose name may be another."""

    async def main() -> list[bytes]:
        app = Deadlines(after(0), 0.5)
        envoy = Deadlines(after(0), header="x-envoy-expected-rq-timeout-ms")
        return [
            (await ask(app, x_request_timeout_ms="200")).body,
            (await ask(app, x_request_timeout_ms="900")).body,
            (await ask(envoy, x_envoy_expected_rq_timeout_ms="100")).body,
            (await ask(envoy)).body,
        ]

    assert run(main()) == [b"0.200", b"0.500", b"0.100", b"inf"]


def test_a_slow_answer_becomes_504_in_time() -> None:
    """With a body that says so; the application is cancelled and cleans up."""
    log = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            log.append("cleaned up")

    async def main() -> Answer:
        deadlines = Deadlines(app, 0.5)
        answer = await ask(deadlines)
        assert deadlines.statistics().expired == 1
        return answer

    answer = run(main())
    assert (answer.status, answer.seconds, log) == (504, pytest.approx(0.5), ["cleaned up"])
    assert json.loads(answer.body) == {"detail": "not done within 500 ms", "time_left_ms": 0}


def test_late_requests_are_refused_before_any_work() -> None:
    """With how much time they had left."""
    called: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called.append(1)

    async def main() -> tuple[Answer, Answer]:
        deadlines = Deadlines(app, 0.5, needs=0.02)
        answers = await ask(deadlines, x_request_timeout_ms="15"), await ask(deadlines, x_request_timeout_ms="0")
        assert deadlines.statistics().refused == 2
        return answers

    late, over = run(main())
    assert (late.status, late.headers["x-request-time-left-ms"]) == (504, "15")
    assert json.loads(late.body)["time_left_ms"] == 15
    assert (over.status, over.headers["x-request-time-left-ms"]) == (504, "0")
    assert called == []


def test_a_fallback_answers_with_what_was_kept_back() -> None:
    """In time; and one that takes longer than that is a 504."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.04)
        await cached(scope, receive, send)

    async def main() -> list[Any]:
        found: list[Any] = []
        for fallback, reserve in ((cached, 0.1), (slow, 0.1), (slow, 0.03)):
            answer = await ask(Deadlines(after(9), 0.5, reserve=reserve, fallback=fallback))
            found.append((answer.status, round(answer.seconds, 3)))
        return found

    assert run(main()) == [(200, 0.4), (200, 0.44), (504, 0.5)]


def test_an_answer_that_has_begun_is_cut_off() -> None:
    """The server closes the connection when the application raises, so the client sees that something is missing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3600)

    async def main() -> int:
        deadlines = Deadlines(app, 0.5)
        with pytest.raises(hocket.BudgetExceeded):
            await ask(deadlines)
        return deadlines.statistics().cut

    assert run(main()) == 1


def test_an_application_that_refuses_to_end_is_answered_for() -> None:
    """In time; what it sends afterwards is dropped, and counted."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            with hocket.CancelScope(shield=True):
                await asyncio.sleep(5)
            await respond(send, 200, b"too late")

    async def main() -> tuple[Answer, int, float]:
        deadlines = Deadlines(app, 0.5)
        began = now()
        answer = await ask(deadlines)
        return answer, deadlines.statistics().dropped, now() - began

    answer, dropped, whole = run(main())
    assert (answer.status, len(answer.messages), dropped) == (504, 2, 2)
    assert (answer.seconds, whole) == (pytest.approx(0.51), pytest.approx(5.5))


def test_there_is_one_answer_even_at_the_last_moment() -> None:
    """An application that answers in the very turn in which it is answered for comes too late, or in time; not both."""

    def at(seconds: float) -> Callable[..., Any]:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                with hocket.CancelScope(shield=True):
                    await asyncio.sleep(seconds)
                await respond(send, 200, b"at last")

        return app

    async def main() -> list[int]:
        starts = []
        for moment in (0.0099999, 0.01, 0.0100001):
            answer = await ask(Deadlines(at(moment), 0.5))
            starts.append(sum(message["type"] == "http.response.start" for message in answer.messages))
        return starts

    assert run(main()) == [1, 1, 1]


def test_a_budget_inside_that_nobody_sees_to_is_504() -> None:
    """At once: the rest of the time is of no use."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hocket.within(0.1, asyncio.sleep, 9)

    async def main() -> tuple[int, float]:
        answer = await ask(Deadlines(app, 0.5))
        return answer.status, answer.seconds

    assert run(main()) == (504, pytest.approx(0.1))


def test_errors_of_the_application_are_its_own() -> None:
    """Also a TimeoutError of something else."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError("of the database")

    async def main() -> None:
        with pytest.raises(TimeoutError, match="of the database"):
            await ask(Deadlines(app, 0.5))

    run(main())


def test_other_protocols_pass() -> None:
    """WebSockets and lifespan events have no budget."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(10)
        await send({"type": f"{scope['type']}.done", "left": hocket.remaining()})

    async def main() -> list[Any]:
        answer = Answer()
        for kind in ("websocket", "lifespan"):
            await Deadlines(app, 0.5)({"type": kind}, None, answer.send)  # type: ignore[arg-type]
        return [(message["type"], message["left"]) for message in answer.messages]

    assert run(main()) == [("websocket.done", float("inf")), ("lifespan.done", float("inf"))]


@pytest.mark.parametrize(
    ("options", "error"),
    [({"budget": -1}, ValueError), ({"budget": "1"}, TypeError), ({"budget": 0.5, "reserve": 0.5}, ValueError)],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """When the application is put together."""
    with pytest.raises(error, match="expected"):
        Deadlines(cached, **options)


def test_it_counts() -> None:
    """All requests, and those without a limit."""

    async def main() -> tuple[int, int]:
        deadlines = Deadlines(after(0))
        await ask(deadlines)
        await ask(deadlines, x_request_timeout_ms="100")
        found = deadlines.statistics()
        return found.requests, found.unlimited

    assert run(main()) == (2, 1)
