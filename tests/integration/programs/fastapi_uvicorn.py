"""A FastAPI application on uvicorn, inside a program's own loop, called by httpx: async and sync routes, lifespan."""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from results import show

events: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI):
    events.append("startup")
    yield
    events.append("shutdown")


app = FastAPI(lifespan=lifespan)


class Item(BaseModel):
    name: str
    price: float


@app.get("/loop")
async def loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@app.get("/sync/{number}")
def in_a_thread(number: int) -> dict[str, object]:
    return {"number": number, "main": threading.current_thread() is threading.main_thread()}


@app.post("/items")
async def create(item: Item) -> Item:
    return Item(name=item.name.upper(), price=item.price * 2)


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=base) as client:
        threads = await asyncio.gather(*(client.get(f"/sync/{n}") for n in range(30)))
        item = (await client.post("/items", json={"name": "tea", "price": 1.5})).json()
        invalid = (await client.post("/items", json={"name": "tea"})).status_code
    server.should_exit = True
    await serving
    listener.close()
    show(
        numbers=[reply.json()["number"] for reply in threads] == list(range(30)),
        in_threads=not any(reply.json()["main"] for reply in threads),
        item=item,
        invalid=invalid,
        events=events,
    )


if __name__ == "__main__":
    asyncio.run(main())
