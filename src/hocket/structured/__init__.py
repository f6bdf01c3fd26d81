"""Structured concurrency: what no program should have to build of tasks and futures by itself.  Not asyncio's API."""
