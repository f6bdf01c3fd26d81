"""Child processes: large input and output, exit codes, kill and terminate, a timeout, many at once, a shell."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE

from results import show

MEGABYTES = 5 * 2**20


async def python(code: str, **pipes: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, **pipes)


async def large_output() -> bool:
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    data = bytes(range(256)) * (MEGABYTES // 256)
    output, _ = await process.communicate(data)
    return output == data


async def both_outputs() -> list[object]:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    process = await python(code, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    return [out.decode(), err.decode(), process.returncode]


async def ended_by(end: str) -> int:
    process = await python("import time; print('up', flush=True); time.sleep(30)", stdout=PIPE)
    await process.stdout.readline()
    getattr(process, end)()
    return await process.wait()


async def timed_out() -> bool:
    process = await python("import time; time.sleep(30)")
    try:
        await asyncio.wait_for(process.wait(), 0.05)
    except TimeoutError:
        process.kill()
        return await process.wait() == -signal.SIGKILL
    return False


async def line_by_line() -> list[str]:
    code = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"
    process = await python(code, stdin=PIPE, stdout=PIPE)
    answers = []
    for word in ("one", "two", "three"):
        process.stdin.write(f"{word}\n".encode())
        await process.stdin.drain()
        answers.append((await process.stdout.readline()).decode().strip())
    process.stdin.close()
    await process.wait()
    return answers


async def exit_code(code: int) -> int:
    process = await asyncio.create_subprocess_shell(f"exit {code}")
    return await process.wait()


async def missing() -> bool:
    try:
        await asyncio.create_subprocess_exec("/no/such/program")
    except FileNotFoundError:
        return True
    return False


async def main() -> None:
    show(
        large_output=await large_output(),
        both_outputs=await both_outputs(),
        killed=await ended_by("kill"),
        terminated=await ended_by("terminate"),
        timed_out=await timed_out(),
        line_by_line=await line_by_line(),
        exit_codes=await asyncio.gather(*map(exit_code, range(20))) == list(range(20)),
        missing=await missing(),
    )


if __name__ == "__main__":
    asyncio.run(main())
