"""A slow, failing service: ``slow_upstream.py``, which prints its port.

Of a hundred requests most are answered within 80 ms, some take up to 400, some hang, some fail, some are cut off.  It
notes of each whether it came after the moment at which nobody waits for it any more: by the clock of this machine,
which the one who asks puts into a header, and by the time left that comes with it.  ``GET /report`` tells.
"""

from __future__ import annotations

import asyncio
import json
import random
import time

import hocket

seen = {"requests": 0, "late": 0, "without": 0, "least_left_ms": 1e9, "finished": 0, "closest_ms": 1e9}
chance = random.Random(6)


def note(headers: dict[str, str]) -> None:
    seen["requests"] += 1
    left = headers.get("x-request-timeout-ms")
    if left is None:
        seen["without"] += 1
        return
    seen["least_left_ms"] = min(seen["least_left_ms"], int(left))
    margin = float(headers["x-test-deadline"]) - time.monotonic()
    seen["closest_ms"] = min(seen["closest_ms"], round(margin * 1000, 3))
    seen["late"] += margin < 0


async def work() -> str:
    """What to do with the connection: answer, fail, or cut it off."""
    share = chance.random()
    if share < 0.80:
        await asyncio.sleep(chance.uniform(0.005, 0.08))
    elif share < 0.90:
        await asyncio.sleep(chance.uniform(0.1, 0.4))
    elif share < 0.94:
        await asyncio.sleep(30)
    elif share < 0.98:
        return "fail"
    else:
        return "cut"
    return "answer"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path, *lines = request.split("\r\n")
            headers = {}
            for line in lines:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            if path.split()[1] == "/report":
                how, body = "answer", json.dumps(seen).encode()
            else:
                note(headers)
                how, body = await work(), b'{"price": 42}'
                seen["finished"] += 1
            if how == "cut":
                break
            status = b"200 OK" if how == "answer" else b"500 Internal Server Error"
            head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
            writer.write(head + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await hocket.service().wait_stopping()


if __name__ == "__main__":
    hocket.serve(main, drain=0, linger=0)
