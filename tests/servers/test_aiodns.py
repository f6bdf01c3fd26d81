"""aiodns (c-ares) against a small name server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.ports import free_port

from .daemons import HOST
from .installed import package
from .running import run

aiodns = package("aiodns")
dnslib = package("dnslib")
dns_server = package("dnslib.server", "dnslib")

#: Names of hosts, and their addresses.
HOSTS = {f"host{number}.test.": f"10.0.{number // 250}.{number % 250 + 1}" for number in range(500)}
LONG_TEXT = [b"%03d" % number * 80 for number in range(40)]


class Zone:
    """Answers for ``test.``: hosts, a mail exchange, a text that is too long for UDP, and a name without an answer."""

    def resolve(self, request: Any, handler: Any) -> Any:
        reply = request.reply()
        name, kind = str(request.q.qname), dnslib.QTYPE[request.q.qtype]
        if name == "slow.test.":
            time.sleep(0.5)
        if name in HOSTS and kind == "A":
            reply.add_answer(dnslib.RR(name, dnslib.QTYPE.A, rdata=dnslib.A(HOSTS[name]), ttl=60))
        elif name == "test." and kind == "MX":
            reply.add_answer(dnslib.RR(name, dnslib.QTYPE.MX, rdata=dnslib.MX("host1.test", 10), ttl=60))
        elif name == "long.test." and kind == "TXT":
            reply.add_answer(dnslib.RR(name, dnslib.QTYPE.TXT, rdata=dnslib.TXT(LONG_TEXT), ttl=60))
        else:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        return reply


class Silence:
    """A logger of requests that logs nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port on which the name server answers, by UDP and TCP."""
    # Not one that the kernel chooses: it would be free for UDP only.
    port = free_port()
    udp = dns_server.DNSServer(Zone(), address=HOST, port=port, logger=Silence())
    tcp = dns_server.DNSServer(Zone(), address=HOST, port=port, tcp=True, logger=Silence())
    for server in (udp, tcp):
        server.start_thread()
    yield port
    for server in (udp, tcp):
        server.stop()
        server.thread.join()
        server.server.server_close()


@contextlib.asynccontextmanager
async def resolving(port: int, **options: Any) -> AsyncIterator[Any]:
    options = {"timeout": 5, "tries": 3} | options
    resolver = aiodns.DNSResolver(nameservers=[HOST], udp_port=port, tcp_port=port, **options)
    try:
        yield resolver
    finally:
        await resolver.close()


def test_many_names(port: int) -> None:
    """500 names are looked up at once."""

    async def main() -> None:
        async with resolving(port) as resolver:

            async def ask(name: str) -> str:
                result = await resolver.query_dns(name, "A")
                return str(result.answer[0].data.addr)

            assert await asyncio.gather(*map(ask, HOSTS)) == list(HOSTS.values())

    run(main)


def test_answer_by_tcp(port: int) -> None:
    """An answer that is too long for UDP comes by TCP."""

    async def main() -> None:
        async with resolving(port) as resolver:
            result = await resolver.query_dns("long.test", "TXT")
            assert result.answer[0].data.data == b"".join(LONG_TEXT)

    run(main)


def test_mail_exchange(port: int) -> None:
    """Other kinds of records are answered too."""

    async def main() -> None:
        async with resolving(port) as resolver:
            result = await resolver.query_dns("test", "MX")
            assert result.answer[0].data.exchange == "host1.test"

    run(main)


def test_unknown_name(port: int) -> None:
    """A name that is not there is an error."""

    async def main() -> None:
        async with resolving(port) as resolver:
            with pytest.raises(aiodns.error.DNSError, match="not found"):
                await resolver.query_dns("nobody.test", "A")

    run(main)


def test_nobody_answers() -> None:
    """A name server that is silent is an error after the timeout, while the loop goes on."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(HOST, 0))
        try:
            async with resolving(transport.get_extra_info("sockname")[1], timeout=2.0, tries=1) as resolver:
                ticks = 0
                query = asyncio.ensure_future(resolver.query_dns("host1.test", "A"))
                while not query.done():
                    ticks += 1
                    await asyncio.sleep(0.01)
                with pytest.raises(aiodns.error.DNSError):
                    await query
                assert ticks > 5
        finally:
            transport.close()

    run(main)


def test_cancelled_query(port: int) -> None:
    """A cancelled query is over at once; the resolver goes on."""

    async def main() -> None:
        async with resolving(port) as resolver:
            query = asyncio.ensure_future(resolver.query_dns("slow.test", "A"))
            await asyncio.sleep(0.05)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert (await resolver.query_dns("host1.test", "A")).answer

    run(main)
