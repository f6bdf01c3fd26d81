"""The loop inside: a ready queue, timers and a poll for I/O, in five steps a turn.

Three callbacks become ready in three ways: one is in the ready queue at once, one waits for a socket, one for a timer.
A callback queued while others run waits for the next turn.

Output::

    from the ready queue
    queued by the one before, ran in the next turn
    from the I/O poll: b'bytes arrived'
    from a timer
"""

import asyncio
import socket


async def main():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def from_ready_queue():
        print("from the ready queue")
        loop.call_soon(print, "queued by the one before, ran in the next turn")

    def from_poll():
        loop.remove_reader(ours)
        print("from the I/O poll:", ours.recv(100))
        loop.call_later(0.05, from_timer)

    def from_timer():
        print("from a timer")
        done.set_result(None)

    loop.add_reader(ours, from_poll)
    loop.call_later(0.05, theirs.send, b"bytes arrived")
    loop.call_soon(from_ready_queue)

    await done
    ours.close()
    theirs.close()


if __name__ == "__main__":
    asyncio.run(main())
