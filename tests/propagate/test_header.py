"""How durations are written into headers and read from them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hocket
from hocket import propagate
from hocket.propagate.header import parsed, written
from tests.virtual import run

HEADERS = ["X-Request-Timeout-Ms", "x-envoy-expected-rq-timeout-ms", "grpc-timeout"]


@pytest.mark.parametrize(
    ("seconds", "header", "text"),
    [
        (0.5, "X-Request-Timeout-Ms", "500"),
        (0.4999, "X-Request-Timeout-Ms", "499"),
        (0.0009, "X-Request-Timeout-Ms", None),
        (0.0, "X-Request-Timeout-Ms", None),
        (-math.inf, "X-Request-Timeout-Ms", None),
        (0.5, "grpc-timeout", "500000u"),
        (3600.0, "grpc-timeout", "3600000m"),
        (1e-7, "grpc-timeout", None),
        (1e15, "grpc-timeout", "99999999H"),
    ],
)
def test_written(seconds: float, header: str, text: str | None) -> None:
    """Whole milliseconds, or gRPC's units; less than it can say is nothing."""
    assert written(seconds, header) == text


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "1e3", "1" * 13, "٣"])
def test_what_makes_no_sense_is_no_limit(text: str) -> None:
    """Who cannot say how long he waits is served as ever."""
    assert [parsed(text, header) for header in HEADERS] == [math.inf] * 3


def test_bytes_and_blanks_are_read() -> None:
    """As servers give them."""
    assert parsed(b" 250 ", HEADERS[0]) == 0.25
    assert parsed(b"3S", "grpc-timeout") == 3.0
    assert parsed(b"3", "grpc-timeout") == math.inf


@given(st.floats(0.001, 1e6), st.sampled_from(HEADERS))
def test_nothing_is_added_on_the_way(seconds: float, header: str) -> None:
    """What is read is what was written, and less by no more than a thousandth of a second, or of itself."""
    text = written(seconds, header)
    assert text is not None
    read = parsed(text, header)
    assert read <= seconds * (1 + 1e-12) and seconds - read <= max(0.001, seconds * 0.001)


def test_write_tells_what_is_left_without_what_is_kept_back() -> None:
    """And nothing where there is no limit."""

    async def main() -> list[dict[str, str]]:
        found: list[dict[str, str]] = [{}, {}, {}]
        propagate.write(found[0])
        with hocket.budget(0.5, reserve=0.1):
            propagate.write(found[1])
            with hocket.fail_after(0.2):
                propagate.write(found[2], header="grpc-timeout")
        return found

    first, second, third = run(main())
    assert (first, second) == ({}, {"X-Request-Timeout-Ms": "399"}) or second == {"X-Request-Timeout-Ms": "400"}
    assert parsed(third["grpc-timeout"], "grpc-timeout") == pytest.approx(0.2, abs=1e-5)


def test_write_refuses_when_it_is_too_late() -> None:
    """BudgetExceeded, with how much is left."""

    async def main() -> None:
        with hocket.budget(0.1004, reserve=0.1), pytest.raises(hocket.BudgetExceeded, match=r"0\.[34] ms are left"):
            propagate.write({})

    run(main())


def test_read_finds_the_header_by_either_name() -> None:
    """Infinity if it is not there."""
    assert propagate.read({"X-Request-Timeout-Ms": "100"}) == 0.1
    assert propagate.read({"x-request-timeout-ms": "100"}) == 0.1
    assert propagate.read({}) == math.inf
    assert propagate.read({"connect-timeout-ms": "100"}, header="Connect-Timeout-Ms") == 0.1


def test_integrations_are_found_by_name() -> None:
    """Without an import of their own; what there is not is an error."""
    assert propagate.asgi.Deadlines.__module__ == "hocket.propagate.asgi"
    assert "httpx" in dir(propagate)
    with pytest.raises(AttributeError, match="requests"):
        _ = propagate.requests
