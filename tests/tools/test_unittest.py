"""unittest.IsolatedAsyncioTestCase on hocket's loop."""

from __future__ import annotations

import sys

import pytest

from .workplace import ToolWorkplace

TOOL = "unittest.IsolatedAsyncioTestCase"
PACKAGES: tuple[str, ...] = ()

TESTS = """
import asyncio, contextvars, unittest
import hocket

variable = contextvars.ContextVar("variable")

class Test(unittest.IsolatedAsyncioTestCase):
{chosen}
    async def asyncSetUp(self):
        self.loop = asyncio.get_running_loop()
        variable.set("set up")

    async def test_loop(self):
        self.assertIs(type(self.loop), hocket.EventLoop)
        self.assertIs(asyncio.get_running_loop(), self.loop)
        self.assertEqual(variable.get(), "set up")
        await asyncio.sleep(0)

    async def asyncTearDown(self):
        self.assertIs(asyncio.get_running_loop(), self.loop)

if __name__ == "__main__":
    unittest.main()
"""


def check(workplace: ToolWorkplace, chosen: str, *prefix: str) -> None:
    path = workplace.write("test_it.py", TESTS.format(chosen=chosen))
    ended = workplace.python(*prefix, str(path))
    assert ended.code == 0, ended.stderr
    assert "Ran 1 test" in ended.stderr


@pytest.mark.skipif(sys.version_info < (3, 13), reason="IsolatedAsyncioTestCase.loop_factory is new in Python 3.13")
def test_loop_factory(workplace: ToolWorkplace) -> None:
    """The class attribute loop_factory = hocket.EventLoop: a class, since a function would become a method there."""
    check(workplace, "    loop_factory = hocket.EventLoop\n")


def test_install(workplace: ToolWorkplace) -> None:
    """hocket.install() before the tests."""
    check(workplace, "    hocket.install()\n")


def test_hocket_run(workplace: ToolWorkplace) -> None:
    """`hocket run -m unittest`, or of the file itself."""
    check(workplace, "", "-m", "hocket", "run")
