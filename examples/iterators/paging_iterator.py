"""A context manager and an iterator in one class: open a listing, walk over its pages, close it on leaving early.

Output::

    open
    page 1 loaded
    apple
    banana
    page 2 loaded
    cherry, which is enough
    closed after 2 of 3 pages
"""

import asyncio

PAGES = [["apple", "banana"], ["cherry", "date"], ["elderberry"]]


class Listing:
    """Loads a page only when its first item is asked for."""

    def __init__(self):
        self.loaded = 0
        self.items = []

    async def __aenter__(self):
        await asyncio.sleep(0.01)
        print("open")
        return self

    async def __aexit__(self, *exception):
        await asyncio.sleep(0.01)
        print(f"closed after {self.loaded} of {len(PAGES)} pages")

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.items:
            if self.loaded == len(PAGES):
                raise StopAsyncIteration
            await asyncio.sleep(0.05)
            self.items = list(PAGES[self.loaded])
            self.loaded += 1
            print(f"page {self.loaded} loaded")
        return self.items.pop(0)


async def main():
    async with Listing() as listing:
        async for item in listing:
            if item == "cherry":
                print(f"{item}, which is enough")
                break
            print(item)


if __name__ == "__main__":
    asyncio.run(main())
