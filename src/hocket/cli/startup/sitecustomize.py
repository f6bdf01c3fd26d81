"""Installs hocket in a program started by ``hocket run``, before the program's first line.

``site`` imports this module because ``hocket run`` put its directory first on ``PYTHONPATH``.  It undoes that first,
so that neither the program nor the processes it starts can tell; then it installs hocket; then it lets the
``sitecustomize`` that it hid, if there is one, take its place.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec


def restore(hook: str, python_path: str | None) -> None:
    """Make ``sys.path`` and the environment what they would be under plain ``python``."""
    while hook in sys.path:
        sys.path.remove(hook)
    sys.path_importer_cache.pop(hook, None)
    if python_path is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = python_path


def install(
    package_parent: str,
    report: bool,
    accelerate: bool,
    metrics: tuple[str, int] | None,
    record: tuple[str, str] | None,
) -> None:
    """Import hocket from where ``hocket run`` came, which need not be on the program's own path, and install it."""
    spec = PathFinder.find_spec("hocket", [package_parent])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"hocket run: there is no hocket in {package_parent}", name="hocket")
    hocket = sys.modules["hocket"] = module_from_spec(spec)
    spec.loader.exec_module(hocket)
    hocket.install()
    if accelerate:
        hocket.accelerate()
    if report:
        from hocket.observe.report import start

        start()
    if metrics:
        serve_metrics(*metrics)
    if record:
        from hocket.observe.export import record_run

        record_run(*record)


def serve_metrics(address: str, port: int) -> None:
    """Tell Prometheus, and on stderr where it can ask."""
    from hocket.observe.sinks.prometheus import serve

    try:
        server = serve(port, address)
    except OSError as error:
        print(f"hocket: run: --metrics {address}:{port}: {error.strerror or error}", file=sys.stderr, flush=True)
        os._exit(2)
    print(f"hocket: metrics at {server.url}", file=sys.stderr, flush=True)


def start() -> None:
    settings = os.environ.pop("HOCKET_RUN", None)
    if settings is None:
        return
    options = json.loads(settings)
    restore(options.pop("hook"), options.pop("python_path"))
    try:
        install(**options)
    except BaseException:
        # `site` would report the error and go on: the program would run on another loop than the user asked for.
        sys.excepthook(*sys.exc_info())
        os._exit(1)


if __name__ == "sitecustomize":
    start()
    # Where there is no other, the error of this import is what `site` expects.
    del sys.modules[__name__]
    import sitecustomize  # noqa: F401
