"""The projects whose suites hocket is held to, and what is left out of each."""

from __future__ import annotations

from .project import Project

_UVLOOP_INSIDE = "tests uvloop's own inside: its classes, its private hooks or its version of a helper"
_UVLOOP_OTHERWISE = "expects what uvloop does otherwise than asyncio"
_OUTSIDE = "needs a network beyond this machine"
_NO_IPV6 = "needs IPv6 addresses from the resolver; fails on asyncio's loop where there are none"

PROJECTS = {
    project.name: project
    for project in (
        Project(
            "uvloop",
            "0.23.0",
            ("aiohttp>=3.10.5", "psutil", "pyOpenSSL", "setuptools"),
            ("tests",),
            excluded={
                "tests/test_sourcecode.py*": "checks the style of uvloop's own sources",
                "tests/test_base.py::TestBaseUV::test_thread_name_prefix_in_default_executor": _UVLOOP_OTHERWISE,
                "tests/test_base.py::TestPolicy::test_uvloop_policy": _UVLOOP_INSIDE,
                "tests/test_context.py::Test_UV_Context::*": _UVLOOP_OTHERWISE
                + " (the twin for asyncio's loop counts)",
                "tests/test_fs_event.py*": _UVLOOP_INSIDE,
                "tests/test_process.py::Test_UV_Process_Delayed::*": _UVLOOP_INSIDE,
                "tests/test_signals.py::Test_UV_Signals::test_signals_no_SIGCHLD": _UVLOOP_OTHERWISE,
                "tests/test_sockets.py::TestUVSockets::*": _UVLOOP_OTHERWISE + " (the twin for asyncio's loop counts)",
                "tests/test_tcp.py::Test_UV_TCP::test_create_connection_open_con_sock": _UVLOOP_OTHERWISE,
                "tests/test_tcp.py::Test_UV_TCP::test_create_connection_open_con_addr": _UVLOOP_OTHERWISE,
                "tests/test_tcp.py::Test_UV_TCP::test_create_server_1": _UVLOOP_OTHERWISE,
                "tests/test_tcp.py::Test_UV_TCP::test_create_server_buffered_*": _UVLOOP_OTHERWISE,
                "tests/test_tcp.py::Test_UV_TCP::test_tcp_handle_abort_in_connection_made": _UVLOOP_INSIDE,
                "tests/test_tcp.py::Test_UV_TCPSSL::test_first_data_after_wakeup": _UVLOOP_INSIDE,
                "tests/test_tcp.py::Test_UV_TCPSSL::test_flush_before_shutdown": _UVLOOP_INSIDE,
                "tests/test_tcp.py::Test_UV_TCPSSL::test_remote_shutdown_receives_trailing_data": _UVLOOP_INSIDE,
                "tests/test_tcp.py::Test_UV_TCPSSL::test_shutdown_timeout_handler_not_set": _UVLOOP_INSIDE,
                "tests/test_tcp.py::Test_UV_TCPSSL::test_start_tls_client_buf_proto_1": _UVLOOP_OTHERWISE,
                "tests/test_udp.py::Test_UV_UDP::test_create_datagram_endpoint_reuse_address_*": _UVLOOP_OTHERWISE,
                "tests/test_udp.py::Test_UV_UDP::test_send_after_close": _UVLOOP_OTHERWISE,
                "tests/test_udp.py::Test_UV_UDP::test_udp_sendto_dns": _UVLOOP_OTHERWISE,
                "tests/test_unix.py::Test_UV_Unix::test_create_unix_server_path_stream_bittype": _UVLOOP_INSIDE,
                "tests/test_unix.py::Test_UV_Unix::test_epollhup": _UVLOOP_INSIDE,
            },
            environment={"HOCKET_PEER_UVLOOP": "real"},
            hidden="uvloop",
        ),
        Project(
            "anyio",
            "4.16.0",
            ("blockbuster", "coverage[toml]", "hypothesis", "psutil", "pytest-mock", "trustme", "truststore", "trio"),
            # Its trio backend has nothing to do with a loop of asyncio's.
            ("tests", "-k", "not trio"),
            excluded={
                "tests/test_eventloop.py::TestAsyncioOptions::*": "asserts that the loop's class is uvloop's own",
                "tests/test_sockets.py*ipv6*": _NO_IPV6,
                "tests/test_sockets.py*dualstack*": _NO_IPV6,
                "tests/test_sockets.py::test_getaddrinfo[[]*": _OUTSIDE,
            },
        ),
        Project(
            "uvicorn",
            "0.54.0",
            (
                "uvicorn[standard]",
                "pytest-mock",
                "trustme",
                "cryptography",
                "httpx2",
                "a2wsgi==1.10.10",
                "wsproto==1.3.2",
                "zttp",
                "coverage",
                "pytest-codspeed",
            ),
            ("tests",),
            excluded={
                "tests/test_auto_detection.py::test_loop_auto": "asserts that the loop's class is uvloop's own",
            },
        ),
        Project(
            "tornado",
            "6.6.1",
            ("pycurl",),
            ("tornado/test",),
            # As its own runner does.
            environment={"HOCKET_PEER_SILENCED": "tornado.access"},
        ),
        Project(
            "aiohttp",
            "3.14.5",
            (
                "freezegun",
                "pkgconfig",
                "proxy.py>=2.4.4rc5",
                "pytest-cov",
                "pytest-mock",
                "setuptools-git",
                "blockbuster",
                "coverage",
                "pytest_codspeed",
                "python-on-whales",
                "re-assert",
                "trustme",
                "zlib_ng",
                "brotli",
                "aiodns",
            ),
            ("tests", "--ignore=tests/autobahn", "-m", "not internal"),
            hidden="aiohttp",
        ),
    )
}
