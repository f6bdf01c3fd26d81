"""``python -m tests.soak --minutes 20``: mixed traffic, then a table and a judgement; exit code 1 if something grows.

The measured process serves and works on hocket; the clients run in a second process, which this one starts and stops.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import hocket

from . import measure, traffic


def loop_factory(name: str) -> Any:
    return asyncio.SelectorEventLoop if name == "stock" else hocket.new_event_loop


async def clients(where: dict[str, Any]) -> None:
    """Talk to the service until stdin ends."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Not through the loop: what is tested must not decide how long.
    ended = loop.run_in_executor(None, sys.stdin.read)
    ended.add_done_callback(lambda _: stop.set())
    work = [asyncio.create_task(traffic.repeat(kind, stop)) for kind in traffic.Clients(where).all()]
    await asyncio.gather(*work)
    await ended
    print(json.dumps(traffic.DONE))


async def served(arguments: argparse.Namespace, directory: Path) -> int:
    loop = asyncio.get_running_loop()
    reports: Counter[str] = Counter()
    loop.set_exception_handler(
        lambda _, context: reports.update([f"{context['message']}: {context.get('exception')!r}"])
    )
    socket.getaddrinfo = traffic.slow_getaddrinfo(socket.getaddrinfo)
    started = time.monotonic()
    # Threads of pools stay: they belong to what was there before.
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.05) for _ in range(40)))
    for kind in traffic.INSIDE:
        await kind()
    await asyncio.sleep(0.1)
    before = measure.sample(loop, started)
    service = traffic.Service(directory)
    where = await service.start()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.soak", "--loop", arguments.loop, "--clients", json.dumps(where)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stop = asyncio.Event()
    work = [asyncio.create_task(traffic.repeat(kind, stop)) for kind in traffic.INSIDE]
    samples = []
    end = time.monotonic() + arguments.minutes * 60
    interval = max(0.5, min(5.0, arguments.minutes * 60 / 40))
    failed = None
    while time.monotonic() < end and failed is None:
        await asyncio.sleep(interval)
        samples.append(measure.sample(loop, started))
        if process.poll() is not None:
            failed = "the clients have ended"
        for task in work:
            if task.done():
                failed = f"work has ended: {task.exception()!r}"
        if arguments.verbose:
            print(json.dumps(samples[-1]), flush=True)
    stop.set()
    await asyncio.gather(*work, return_exceptions=True)
    output, _ = await asyncio.to_thread(process.communicate, None, 60)
    await service.stop()
    del service, work
    await asyncio.sleep(2.5)  # Goodbyes that nobody answers take up to two seconds.
    after = measure.sample(loop, started)
    table, wrong = measure.judge(samples, before, after)
    print(table)
    done = Counter(json.loads(output or "{}")) + traffic.DONE
    print("done: " + ", ".join(f"{name} {count}" for name, count in sorted(done.items())))
    idle = [kind.__name__ for kind in traffic.INSIDE if not done[kind.__name__]]
    wrong += [f"{name} was never done" for name in idle]
    wrong += [failed] if failed else []
    wrong += [f"reported {count} times: {message}" for message, count in reports.most_common(5)]
    for line in wrong:
        print(f"WRONG: {line}")
    print("flat" if not wrong else "not flat")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="how long the traffic flows (default: 20)")
    parser.add_argument("--loop", choices=["hocket", "stock"], default="hocket", help="asyncio's own for comparison")
    parser.add_argument("--verbose", action="store_true", help="print every sample")
    parser.add_argument("--clients", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory(arguments.loop)) as runner:
        if arguments.clients:
            runner.run(clients(json.loads(arguments.clients)))
            return 0
        with tempfile.TemporaryDirectory() as directory:
            traffic.make_certificates(Path(directory))
            return runner.run(served(arguments, Path(directory)))


if __name__ == "__main__":
    sys.exit(main())
