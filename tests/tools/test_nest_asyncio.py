"""nest_asyncio does not work on hocket: it puts a turn of its own in place of the loop's, over asyncio's own queue."""

from __future__ import annotations

import pytest

from .workplace import ToolWorkplace

TOOL = "nest_asyncio: refused"
PACKAGES = ("nest-asyncio", "nest-asyncio2")


@pytest.mark.parametrize("module", ["nest_asyncio", "nest_asyncio2"])
def test_a_nested_run_is_an_error(workplace: ToolWorkplace, module: str) -> None:
    """The first nested run raises, at once and naming what is missing; the program neither hangs nor goes on."""
    path = workplace.write(
        "program.py",
        f"""
        import asyncio
        import hocket
        import {module} as nest

        async def main():
            nest.apply()
            asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))
            print("nested")

        hocket.run(main())
        """,
    )
    ended = workplace.python(str(path))
    assert (ended.code, ended.stdout) == (1, "")
    assert "AttributeError" in ended.stderr and "popleft" in ended.stderr


def test_not_patched_it_does_no_harm(workplace: ToolWorkplace) -> None:
    """A program that only imports it runs as ever."""
    path = workplace.write(
        "program.py",
        """
        import asyncio
        import hocket
        import nest_asyncio

        print(hocket.run(asyncio.sleep(0, "slept")))
        """,
    )
    assert workplace.python(str(path)).stdout == "slept\n"
