"""Starts the upstream service in another process and makes sure that it is stopped, whatever happens here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

UPSTREAM = Path(__file__).with_name("upstream.py")
START = 20.0  # seconds for a cold interpreter to import aiohttp and listen
STOP = 3.0  # seconds before the service is killed


class ServiceFailed(Exception):
    """The service did not start; the text says how."""


@asynccontextmanager
async def service(*, seed: int, capacity: int) -> AsyncIterator[str]:
    """Run the upstream service for the length of the block; yields its base URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(UPSTREAM), "--seed", str(seed), "--capacity", str(capacity)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us; the service hears of it when its standard input closes
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        try:
            async with asyncio.timeout(START):
                line = await process.stdout.readline()
        except TimeoutError:
            raise ServiceFailed(f"the upstream service did not start within {START:.0f} s") from None
        if not line.strip().isdigit():
            raise ServiceFailed(f"the upstream service did not start: it ended with code {await process.wait()}")
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
