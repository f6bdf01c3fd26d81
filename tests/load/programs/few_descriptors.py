"""An echo server that lists what its loop reports, with the time of each report: for running out of descriptors.

Prints its port; for each line on stdin prints the reports so far, the CPU time used, and how many are connected.
"""

import asyncio
import json
import sys
import time

import hocket

reports: list[list[object]] = []
connected = 0


class Echo(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        global connected
        connected += 1
        self.transport = transport

    def data_received(self, data) -> None:
        self.transport.write(data)

    def connection_lost(self, error) -> None:
        global connected
        connected -= 1


def report(loop, context) -> None:
    reports.append([time.monotonic(), context["message"], type(context.get("exception")).__name__])


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report)
    # Before descriptors are short: the thread that reads stdin, and what a report imports to be written.
    await asyncio.to_thread(str)
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({"reports": reports, "cpu": time.process_time(), "connected": connected}), flush=True)
    server.close()


if __name__ == "__main__":
    hocket.run(main())
