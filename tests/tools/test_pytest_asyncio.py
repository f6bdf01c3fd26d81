"""pytest-asyncio runs its tests on hocket's loop."""

from __future__ import annotations

import importlib.metadata

import pytest

from .workplace import ToolWorkplace, succeeded

TOOL = "pytest-asyncio"
PACKAGES = ("pytest-asyncio",)

TESTS = """
import asyncio
import pytest
import pytest_asyncio
import hocket
{mark}

@pytest_asyncio.fixture
async def resource():
    await asyncio.sleep(0)
    yield type(asyncio.get_running_loop())
    await asyncio.sleep(0)

{decorate}
async def test_loop(resource):
    assert resource is hocket.EventLoop
    assert type(asyncio.get_running_loop()) is hocket.EventLoop
    assert type(asyncio.current_task()) is hocket.Task

class TestTogether:
    loops = set()

    @pytest.mark.asyncio(loop_scope="class")
    async def test_one(self):
        self.loops.add(asyncio.get_running_loop())

    @pytest.mark.asyncio(loop_scope="class")
    async def test_two(self):
        self.loops.add(asyncio.get_running_loop())
        assert len(self.loops) == 1
"""
POLICY = """
import pytest
import hocket

@pytest.fixture(scope="session")
def event_loop_policy():
    return hocket.EventLoopPolicy()
"""
LOOP_FACTORIES = """
import hocket

def pytest_asyncio_loop_factories(config, item):
    return {"hocket": hocket.new_event_loop}
"""


def pytest_run(workplace: ToolWorkplace, *options: str) -> str:
    """Run the tests in the workplace with pytest-asyncio as it comes."""
    return succeeded(workplace.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:ddtrace", *options))


def has_loop_factories() -> bool:
    version = importlib.metadata.version("pytest-asyncio")
    return tuple(map(int, version.split(".")[:2])) >= (1, 4)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_policy_fixture(workplace: ToolWorkplace, mode: str) -> None:
    """An event_loop_policy fixture that returns hocket's policy, in both modes, with loops shared by a class."""
    workplace.write("conftest.py", POLICY)
    workplace.write("test_it.py", TESTS.format(mark="", decorate="@pytest.mark.asyncio" if mode == "strict" else ""))
    printed = pytest_run(workplace, "-o", f"asyncio_mode={mode}", "-W", "ignore::DeprecationWarning")
    assert "3 passed" in printed


def test_loop_factories_hook(workplace: ToolWorkplace) -> None:
    """The hook pytest_asyncio_loop_factories of pytest-asyncio 1.4 and later."""
    if not has_loop_factories():
        pytest.skip("pytest-asyncio before 1.4 has no such hook")
    workplace.write("conftest.py", LOOP_FACTORIES)
    workplace.write("test_it.py", TESTS.format(mark="pytestmark = pytest.mark.asyncio", decorate=""))
    assert "3 passed" in pytest_run(workplace, "-o", "asyncio_mode=strict")


def test_install(workplace: ToolWorkplace) -> None:
    """hocket.install() in conftest.py."""
    workplace.write("conftest.py", "import hocket\nhocket.install()\n")
    workplace.write("test_it.py", TESTS.format(mark="pytestmark = pytest.mark.asyncio", decorate=""))
    assert "3 passed" in pytest_run(workplace, "-o", "asyncio_mode=strict")


def test_hocket_run(workplace: ToolWorkplace) -> None:
    """`hocket run -m pytest`, with nothing changed in the project."""
    workplace.write("test_it.py", TESTS.format(mark="pytestmark = pytest.mark.asyncio", decorate=""))
    ended = workplace.hocket("run", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:ddtrace")
    assert "3 passed" in succeeded(ended)


def test_failures_are_reported(workplace: ToolWorkplace) -> None:
    """A failing test fails with its assertion shown, and a timeout of asyncio's works."""
    workplace.write("conftest.py", POLICY)
    workplace.write(
        "test_it.py",
        """
        import asyncio, pytest

        @pytest.mark.asyncio
        async def test_fails():
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        """,
    )
    ended = workplace.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:ddtrace")
    assert ended.code == 1 and "TimeoutError" in ended.stdout
