"""aiofiles: files, temporary files and ``os``, by the loop's threads."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from .installed import package
from .running import run

aiofiles = package("aiofiles")
aiofiles_os = package("aiofiles.os", "aiofiles")
aiofiles_tempfile = package("aiofiles.tempfile", "aiofiles")


def test_many_files_at_once(tmp_path: Path) -> None:
    """100 tasks write and read back files of a megabyte."""
    chunks = [hashlib.sha256(b"%d" % number).digest() * 512 for number in range(64)]

    async def write_and_read(number: int) -> bool:
        path = tmp_path / f"{number}"
        async with aiofiles.open(path, "wb") as file:
            for chunk in chunks:
                await file.write(chunk)
        async with aiofiles.open(path, "rb") as file:
            read = await file.read()
        await aiofiles_os.remove(path)
        return bool(read == b"".join(chunks))

    async def main() -> list[bool]:
        return await asyncio.gather(*(write_and_read(number) for number in range(100)))

    assert run(main) == [True] * 100
    assert list(tmp_path.iterdir()) == []


def test_lines(tmp_path: Path) -> None:
    """``async for`` gives the lines of a text file."""
    path = tmp_path / "lines"
    path.write_text("".join(f"{number}\n" for number in range(1000)))

    async def main() -> list[int]:
        async with aiofiles.open(path) as file:
            return [int(line) async for line in file]

    assert run(main) == list(range(1000))


def test_temporary_directory() -> None:
    """A temporary directory is there within ``async with``, and gone after it."""

    async def main() -> Path:
        async with aiofiles_tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            async with aiofiles.open(directory / "file", "w") as file:
                await file.write("text")
            assert (directory / "file").read_text() == "text"
            return directory

    assert not run(main).exists()


def test_cancelled_read(tmp_path: Path) -> None:
    """A cancelled read raises at once, though its thread goes on; the file can be closed."""
    import os

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def main() -> None:
        keeping_open = os.open(fifo, os.O_RDWR)
        try:
            async with aiofiles.open(fifo, "rb", buffering=0) as file:
                reading = asyncio.create_task(file.read(1))
                await asyncio.sleep(0.05)
                reading.cancel()
                await asyncio.wait([reading], timeout=10)
                assert reading.cancelled()
                os.write(keeping_open, b"x")  # lets the thread end
        finally:
            os.close(keeping_open)

    run(main)
