"""aiofiles: read three files concurrently, process them, and write the results concurrently.

Output::

    output0.txt: FIRST FILE
    output1.txt: SECOND FILE
    output2.txt: THIRD FILE
"""

import asyncio
import os
import tempfile
from pathlib import Path

import aiofiles


async def read_file(filename):
    async with aiofiles.open(filename, mode="r") as f:
        contents = await f.read()
    return contents


async def write_file(filename, content):
    async with aiofiles.open(filename, mode="w") as f:
        await f.write(content)


async def process_files():
    # Read multiple files concurrently
    contents = await asyncio.gather(
        read_file("file1.txt"),
        read_file("file2.txt"),
        read_file("file3.txt"),
    )

    # Process and write results
    processed = [c.upper() for c in contents]
    await asyncio.gather(*[write_file(f"output{i}.txt", data) for i, data in enumerate(processed)])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        back = os.getcwd()
        os.chdir(folder)
        for number, name in enumerate(("first", "second", "third"), 1):
            Path(f"file{number}.txt").write_text(f"{name} file")
        asyncio.run(process_files())
        for output in sorted(Path().glob("output*.txt")):
            print(f"{output}: {output.read_text()}")
        os.chdir(back)
