"""A small web server in threads, whose every path fails in a way of its own; it counts what it is asked."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: Counter[str] = Counter()
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.over = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """/ok, /slow, /error, /missing, /flaky (fails once), /hang (until the end), /drop (closes without an answer)."""

    server: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        web, path = self.server, self.path
        with web.lock:
            web.asked[path] += 1
            visit = web.asked[path]
            web.now += 1
            web.most = max(web.most, web.now)
        try:
            self.answer(path.split("?")[0], visit)
        finally:
            with web.lock:
                web.now -= 1

    def answer(self, path: str, visit: int) -> None:
        if path == "/hang":
            self.server.over.wait(30)
        if path in ("/hang", "/drop"):
            self.close_connection = True
            return
        time.sleep(0.2 if path == "/slow" else 0.02)
        status = {"/error": 500, "/missing": 404, "/flaky": 503 if visit == 1 else 200}.get(path, 200)
        self.send_response(status)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@contextmanager
def web_server() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield web
    finally:
        web.over.set()
        web.shutdown()
        thread.join()
        web.server_close()
