"""httpx against an aiohttp server: a pool of connections, streams, a timeout, a refused connection."""

import asyncio

import httpx
from http_aiohttp import MEGABYTE, serve
from results import show


async def main() -> None:
    runner, base = await serve()
    async with httpx.AsyncClient(base_url=base, limits=httpx.Limits(max_connections=20)) as client:
        responses = await asyncio.gather(*(client.get(f"/square/{n}") for n in range(60)))
        squares = [response.json()["square"] for response in responses]
        posted = (await client.post("/upload", content=MEGABYTE)).status_code
        received = 0
        async with client.stream("GET", "/stream") as response:
            async for chunk in response.aiter_bytes():
                received += len(chunk)
        try:
            await client.get("/hang", timeout=httpx.Timeout(60, read=0.1))
            timed_out = False
        except httpx.ReadTimeout:
            timed_out = True
    await runner.cleanup()
    async with httpx.AsyncClient() as client:
        try:
            await client.get(base)
            refused = False
        except httpx.ConnectError:
            refused = True
    show(
        squares=squares == [n * n for n in range(60)],
        posted=posted,
        received=received,
        timed_out=timed_out,
        refused_after_shutdown=refused,
    )


if __name__ == "__main__":
    asyncio.run(main())
