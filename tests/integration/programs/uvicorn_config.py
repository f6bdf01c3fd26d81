"""Serves the FastAPI application with the loop named in uvicorn's configuration."""

import sys

import uvicorn

if __name__ == "__main__":
    config = uvicorn.Config("fastapi_uvicorn:app", port=int(sys.argv[1]), loop=sys.argv[2], log_level="warning")
    uvicorn.Server(config).run()
