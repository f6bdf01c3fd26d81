"""anyio's asyncio backend on hocket's loop."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import hocket

from .packages import imported

anyio = imported("anyio")

TOOL = "anyio"
PACKAGES = ("anyio", "trustme")


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What anyio's users write to have hocket's loop."""
    return anyio.run(main, backend="asyncio", backend_options={"loop_factory": hocket.new_event_loop})


def test_the_loop() -> None:
    """backend_options={"loop_factory": …} gives a hocket loop."""

    async def main() -> type:
        return type(asyncio.get_running_loop())

    assert run(main) is hocket.EventLoop


def test_task_group_and_cancel_scope() -> None:
    """A cancelled scope ends the tasks of a group, shielded parts finish, and nothing else is cancelled."""
    happened: list[str] = []

    async def child(name: str, *, task_status: Any) -> None:
        task_status.started()
        try:
            await anyio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
                happened.append(name)

    async def main() -> str:
        async with anyio.create_task_group() as group:
            await group.start(child, "a")
            await group.start(child, "b")
            group.cancel_scope.cancel()
        return "after"

    assert run(main) == "after"
    assert sorted(happened) == ["a", "b"]


def test_time_limits() -> None:
    """fail_after() raises TimeoutError, move_on_after() goes on; both also around a task group."""

    async def main() -> list[Any]:
        found: list[Any] = []
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(60)
        found.append(scope.cancelled_caught)
        try:
            with anyio.fail_after(0.01):
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep, 60)
        except TimeoutError:
            found.append("timeout")
        return found

    assert run(main) == [True, "timeout"]


def test_errors_of_a_group() -> None:
    """Errors of children come together in an exception group."""

    async def fail(error: Exception) -> None:
        raise error

    async def main() -> list[str]:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(fail, ValueError("a"))
                group.start_soon(fail, TypeError("b"))
        except BaseExceptionGroup as errors:
            return sorted(type(error).__name__ for error in errors.exceptions)
        return []

    assert run(main) == ["TypeError", "ValueError"]


def test_tcp_and_unix_streams(tmp_path: Any) -> None:
    """Listeners and streams carry data both ways, over TCP and Unix sockets."""

    async def echo(stream: Any) -> None:
        async with stream:
            async for chunk in stream:
                await stream.send(chunk)

    async def main() -> list[bytes]:
        answers = []
        async with anyio.create_task_group() as group:
            tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
            unix = await anyio.create_unix_listener(tmp_path / "socket")
            group.start_soon(tcp.serve, echo)
            group.start_soon(unix.serve, echo)
            port = tcp.extra(anyio.abc.SocketAttribute.local_port)
            for stream in [
                await anyio.connect_tcp("127.0.0.1", port),
                await anyio.connect_unix(tmp_path / "socket"),
            ]:
                async with stream:
                    await stream.send(b"x" * 100_000)
                    await stream.send_eof()
                    answer = b""
                    async for chunk in stream:
                        answer += chunk
                    answers.append(answer)
            group.cancel_scope.cancel()
        await tcp.aclose()
        await unix.aclose()
        return answers

    assert run(main) == [b"x" * 100_000] * 2


def test_udp() -> None:
    """A UDP socket sends and receives with addresses."""

    async def main() -> bytes:
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as first:
            host, port = first.extra(anyio.abc.SocketAttribute.local_address)
            async with await anyio.create_connected_udp_socket(host, port) as second:
                await second.send(b"ping")
                data, address = await first.receive()
                await first.sendto(data + b"pong", *address)
                return bytes(await second.receive())

    assert run(main) == b"pingpong"


def test_tls() -> None:
    """TLS streams over hocket's TCP: handshake, data, the peer's certificate, a clean end."""
    import trustme
    from anyio.streams.tls import TLSAttribute, TLSListener

    authority = trustme.CA()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)

    async def serve(stream: Any) -> None:
        async with stream:
            await stream.send((await stream.receive()).upper())

    async def main() -> tuple[bytes, str]:
        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
        listener = TLSListener(tcp, server_side)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            port = tcp.extra(anyio.abc.SocketAttribute.local_port)
            async with await anyio.connect_tcp(
                "127.0.0.1", port, tls=True, tls_hostname="localhost", ssl_context=client_side
            ) as stream:
                await stream.send(b"hello")
                answer = bytes(await stream.receive())
                version = stream.extra(TLSAttribute.tls_version)
            group.cancel_scope.cancel()
        return answer, version

    assert run(main) == (b"HELLO", "TLSv1.3")


def test_processes() -> None:
    """run_process() and open_process() with input, output and exit code."""

    async def main() -> tuple[bytes, int]:
        done = await anyio.run_process([sys.executable, "-c", "print(input()[::-1])"], input=b"hocket\n")
        process = await anyio.open_process([sys.executable, "-c", "raise SystemExit(3)"])
        async with process:
            return done.stdout, await process.wait()

    assert run(main) == (b"tekcoh\n", 3)


def test_threads() -> None:
    """to_thread runs a function elsewhere, from_thread calls back into the loop."""

    def work(main_thread: int) -> Any:
        assert threading.get_ident() != main_thread
        anyio.from_thread.run(anyio.sleep, 0)
        return anyio.from_thread.run_sync(threading.get_ident)

    async def main() -> bool:
        ours = threading.get_ident()
        return bool(await anyio.to_thread.run_sync(work, ours) == ours)

    assert run(main)


def test_blocking_portal() -> None:
    """A portal runs a loop of hocket's in a thread, for code that is not async."""

    async def loop_type() -> type:
        return type(asyncio.get_running_loop())

    with anyio.from_thread.start_blocking_portal(backend_options={"loop_factory": hocket.new_event_loop}) as portal:
        assert portal.call(loop_type) is hocket.EventLoop


def test_signals() -> None:
    """open_signal_receiver() delivers a signal."""

    async def main() -> int:
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            async for number in signals:
                return int(number)
        return 0

    assert run(main) == signal.SIGUSR1


def test_running_tasks() -> None:
    """get_running_tasks() and get_current_task() describe hocket's tasks."""

    async def main() -> tuple[str, set[str]]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60, name="napping")
            await anyio.wait_all_tasks_blocked()
            found = {task.name for task in anyio.get_running_tasks()}
            current = anyio.get_current_task().name
            group.cancel_scope.cancel()
        return current, found

    current, found = run(main)
    assert {current, "napping"} <= found
