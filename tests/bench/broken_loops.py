"""Event loops that misbehave in one way each, for the tests of the benchmark harness."""

from __future__ import annotations

import asyncio
import os
import signal
import time


def raises() -> asyncio.AbstractEventLoop:
    raise RuntimeError("no loop today")


def hangs() -> asyncio.AbstractEventLoop:
    time.sleep(600)
    raise AssertionError("unreachable")


class Meddling(asyncio.SelectorEventLoop):
    """Passes what each connection's protocol is given through ``meddle``."""

    def _make_socket_transport(self, sock, protocol, *args, **kwargs):
        receive = protocol.data_received
        protocol.data_received = lambda data: receive(self.meddle(data))
        return super()._make_socket_transport(sock, protocol, *args, **kwargs)

    def meddle(self, data: bytes) -> bytes:
        return data


class Crashing(Meddling):
    def meddle(self, data: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return data


class Corrupting(Meddling):
    def meddle(self, data: bytes) -> bytes:
        return bytes(len(data))


class Silent(Meddling):
    def meddle(self, data: bytes) -> bytes:
        return b""


class Answering(asyncio.SelectorEventLoop):
    """What a connection is answered is changed on its way: a word of it, and a binary frame into one of text."""

    def _make_socket_transport(self, sock, protocol, *args, **kwargs):
        transport = super()._make_socket_transport(sock, protocol, *args, **kwargs)
        write = transport.write

        def answer(data: bytes) -> None:
            changed = bytes(data).replace(b"world", b"werld")
            write(b"\x81" + changed[1:] if changed[:1] == b"\x82" else changed)

        transport.write = answer
        transport.writelines = lambda pieces: answer(b"".join(pieces))
        return transport
