"""Runs ``main()`` of the program named on the command line with asyncio.run, after hocket.install()."""

import asyncio
import importlib
import sys

import hocket

if __name__ == "__main__":
    hocket.install()
    asyncio.run(importlib.import_module(sys.argv[1]).main())
