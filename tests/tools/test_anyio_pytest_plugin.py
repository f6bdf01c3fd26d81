"""anyio's pytest plugin runs its tests on hocket's loop."""

from __future__ import annotations

from .workplace import ToolWorkplace, succeeded

TOOL = "anyio's pytest plugin"
PACKAGES = ("anyio",)

CONFTEST = """
import pytest
import hocket

@pytest.fixture(params=[pytest.param(("asyncio", {"loop_factory": hocket.new_event_loop}), id="hocket")])
def anyio_backend(request):
    return request.param
"""


def test_backend_fixture(workplace: ToolWorkplace) -> None:
    """An anyio_backend fixture with loop_factory: tests, fixtures and their context are on one hocket loop."""
    workplace.write("conftest.py", CONFTEST)
    workplace.write(
        "test_it.py",
        """
        import asyncio, contextvars, anyio, pytest, hocket

        pytestmark = pytest.mark.anyio
        variable = contextvars.ContextVar("variable")

        @pytest.fixture
        async def resource():
            variable.set("from the fixture")
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 60)
                yield asyncio.get_running_loop()
                group.cancel_scope.cancel()

        async def test_loop(resource):
            assert type(resource) is hocket.EventLoop
            assert asyncio.get_running_loop() is resource
            assert variable.get() == "from the fixture"

        async def test_cancellation(resource):
            with anyio.move_on_after(0.01) as scope:
                await anyio.sleep(60)
            assert scope.cancelled_caught
        """,
    )
    ended = workplace.python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:aiohttp", "-p", "no:ddtrace"
    )
    assert "2 passed" in succeeded(ended)


def test_hocket_run(workplace: ToolWorkplace) -> None:
    """`hocket run -m pytest` is enough: anyio's runner takes the loop that asyncio makes."""
    workplace.write(
        "test_it.py",
        """
        import asyncio, pytest, hocket

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_loop():
            assert type(asyncio.get_running_loop()) is hocket.EventLoop
        """,
    )
    ended = workplace.hocket(
        "run",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-p",
        "no:aiohttp",
        "-p",
        "no:ddtrace",
    )
    assert "1 passed" in succeeded(ended)
