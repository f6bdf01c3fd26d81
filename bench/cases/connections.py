"""Connections themselves: opened, used once and closed; held by the thousand; TLS handshakes."""

from __future__ import annotations

from bench.case import Echo, Load, Metric
from bench.cases.tcp_protocol import serve
from bench.cases.tls_protocol import serve as serve_tls

COUNTS = {"10": 10, "100": 100, "1k": 1_000, "10k": 10_000, "100k": 100_000}

CASES = (
    Echo(
        "churn",
        "connect, one request of 1 KiB, close; floor: C epoll server",
        serve,
        {"50": Load(50, 1024)},
        operation="connection",
        generator="connect_load",
    ),
    Echo(
        "tls_handshakes",
        "connect, full TLS handshake, one byte, close",
        serve_tls,
        {"20": Load(20, 1)},
        operation="connection",
        generator="connect_load_tls",
        floor_program=None,
        packages=("trustme",),
    ),
    Echo(
        "tcp_growth",
        "TCP echo of 64 bytes by asyncio.Protocol, by the number of connections; floor: C epoll server",
        serve,
        {name: Load(count, 64) for name, count in COUNTS.items()},
        long=tuple(COUNTS),
    ),
    Echo(
        "idle_growth",
        "memory of a connection that was used once and is held, by their number",
        serve,
        {name: Load(count, 1, hold=True) for name, count in COUNTS.items() if count > 10},
        operation="connection",
        generator="connect_load",
        floor_program=None,
        headline=Metric("bytes", "bytes"),
        columns=(Metric("rss_mb", "MB", 1),),
        long=tuple(COUNTS),
    ),
    Echo(
        "idle",
        "memory of a connection that was used once and is held",
        serve,
        {"10k": Load(10_000, 1, hold=True)},
        operation="connection",
        generator="connect_load",
        floor_program=None,
        headline=Metric("bytes", "bytes"),
        columns=(Metric("rss_mb", "MB", 1),),
    ),
)
