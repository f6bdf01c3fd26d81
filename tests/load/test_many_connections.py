"""Ten thousand connections at once."""

from __future__ import annotations

import pytest

from .processes import line, require_descriptors, start

CONNECTIONS = 10_000
# One a connection, and some for the interpreter and the loop.
DESCRIPTORS = CONNECTIONS + 200


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "driver"), [("protocol", "auto"), ("protocol", "selector"), ("streams", "auto")])
def test_every_one_of_ten_thousand_connections_is_echoed(kind: str, driver: str) -> None:
    """10,000 connections are open at the same time, and each gets back just what it sent."""
    require_descriptors(DESCRIPTORS)
    with start("echo_server.py", kind, driver=driver, descriptors=DESCRIPTORS) as server:
        port = line(server)
        with start("many_clients.py", str(port), str(CONNECTIONS), descriptors=DESCRIPTORS) as clients:
            assert line(clients) == {"correct": CONNECTIONS}
        output, _ = server.communicate(timeout=30)
    assert server.returncode == 0
    assert f'"most": {CONNECTIONS}' in output
