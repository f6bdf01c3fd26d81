"""How a program of these tests hands over its results: a JSON object on stdout, with the loop it ran on."""

from __future__ import annotations

import asyncio
import json


def show(**results: object) -> None:
    """Print `results` and the name of the package that the running loop comes from."""
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    print(json.dumps({"loop": loop, **results}))
