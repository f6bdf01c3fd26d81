"""The transport of a TLS connection: the application's bytes on one side, those of another transport on the other.

One object stands between the two.  To the application it is an `asyncio.Transport`; to the transport beneath (a socket,
or TLS again) it is an `asyncio.BufferedProtocol`.  A `TlsSession` turns the bytes of one into those of the other.

========== ========================================= ==============================================================
state      entered                                   leaves when
========== ========================================= ==============================================================
opening    at the start                              the transport beneath says connection_made()
handshake  the first message is sent                 it is complete, fails, takes too long, or the peer goes
wrapped    both sides agree                          somebody closes: we, or the peer (close_notify, end of stream)
flushing   the end has begun                         all is read that the application still wants, and all is written
shutdown   our close_notify is sent                  the peer's has come, or the time is over
closed     the transport beneath closes              never
========== ========================================= ==============================================================

After `close` nothing is delivered any more: what still comes is decrypted and dropped until the peer says goodbye too,
up to a limit.
When a session fails, the alert that tells the peer why is sent before the connection goes.
"""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Iterable
from typing import Any

from hocket.core import asyncio_private
from hocket.native.sockets import ReadBuffer
from hocket.net.stream import READ_SIZE, StreamTransport
from hocket.net.tls_flow import TlsFlow
from hocket.net.tls_session import TlsSession

# The states; and how much of its life the application's protocol has seen.
_OPENING = 0
_HANDSHAKE = 1
_WRAPPED = 2
_FLUSHING = 3
_SHUTDOWN = 4
_CLOSED = 5

#: So much that a peer goes on sending after we have closed is read and dropped, in bytes: more than is on its way when
#: it learns of it.  Whoever leaves in the middle of a download does not want to read the rest of it.
_DISCARD_AT_MOST = 1024 * 1024

_NOT_MADE = 0
_MADE = 1
_AT_EOF = 2
_LOST = 3


class SSLTransport(asyncio_private.SSLProtocolTransport, asyncio.BufferedProtocol):  # type: ignore[misc]
    """What a `TlsTransport` passes for: both of its sides."""


class TlsTransport(TlsFlow):
    """A TLS connection, as `asyncio.Transport`: made by the loop, not by users.

    ``isinstance(transport, asyncio.Transport)`` holds through ``__class__``.
    """

    _start_tls_compatible = True
    _sendfile_compatible = asyncio_private.SENDFILE_FALLBACK

    def __init__(
        self,
        loop: Any,
        protocol: Any,
        context: ssl.SSLContext,
        waiter: Any,
        server_side: bool,
        server_hostname: str | None,
        handshake_timeout: float,
        shutdown_timeout: float,
        call_connection_made: bool = True,
    ) -> None:
        self._closed = True  # Until there is something to close.
        self._raw: Any = None
        self._stream = None
        self._handshake_timeout = handshake_timeout
        self._shutdown_timeout = shutdown_timeout
        self._loop: Any = loop
        self._waiter: Any = waiter
        self._timer: Any = None
        self._handshake_began = 0.0
        self._session = TlsSession(context, server_side, server_hostname)
        self._extra: dict[str, Any] = {"sslcontext": context}
        self._state = _OPENING
        self._app_state = _NOT_MADE if call_connection_made else _MADE
        # Nobody keeps anything in it from one call to the next.
        self._view: memoryview = loop._read_buffer.view
        self._eof = False
        self._discarded = 0
        self._writes_after_close = 0
        self._init_flow()
        self.set_protocol(protocol)
        self._closed = False

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return SSLTransport

    def __repr__(self) -> str:
        state = ("opening", "handshake", "open", "flushing", "shutdown", "closed")[self._state]
        return f"<{type(self).__name__} {state} over {self._raw!r}>"

    def __del__(self) -> None:
        if not self._closed:
            self._closed = True
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self)  # noqa: B028  # nobody called

    # -- What the transport tells of itself

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``sslcontext``, after the handshake also ``ssl_object`` (an `ssl.SSLObject`), ``peercert``, ``cipher`` and
        ``compression``, and ``tls_engine``: how data is encrypted here, ``"openssl"`` directly or by the module
        ``"ssl"`` (see `hocket.tls_engine`).  Whatever else the transport beneath knows."""
        if name in self._extra:
            return self._extra[name]
        if self._raw is not None:
            return self._raw.get_extra_info(name, default)
        return default

    def get_protocol(self) -> Any:
        """The protocol that receives the data."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Hand all that comes from now on to *protocol*, an `asyncio.Protocol` or `asyncio.BufferedProtocol`."""
        self._buffered_protocol = isinstance(protocol, asyncio.BufferedProtocol)
        self._protocol: Any = protocol

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closed or (self._raw is not None and bool(self._raw.is_closing()))

    @property
    def _ssl_protocol(self) -> TlsTransport:
        # asyncio's transport has its protocol for the transport beneath here, and some tools look through it.
        return self

    @property
    def _transport(self) -> Any:
        return self._raw

    @property
    def _sslcontext(self) -> Any:
        return self._extra["sslcontext"]

    # -- As the protocol of the transport beneath

    def upgrade(self, transport: Any, received: Any) -> None:
        """Take over *transport*, open already: what its protocol had *received* and not read, and whether it was told
        to stop writing."""
        if received:
            self._session.feed(received, len(received))
        if getattr(transport, "_protocol_paused", False):
            self._raw_writing_paused = self._protocol_paused = True
        transport.set_protocol(self)

    def connection_made(self, transport: Any) -> None:
        """The transport beneath is open: begin the handshake."""
        if self._state == _CLOSED:
            return  # Lost before it was made: it was closing when it was to be upgraded.
        self._raw = transport
        self._stream = transport if type(transport) is StreamTransport else None
        if self._closed:
            # Closed before it was open.
            self._state = _CLOSED
            self._force_raw_closed(None)
            return
        self._state = _HANDSHAKE
        if self._loop.get_debug():
            asyncio_private.logger.debug("%r starts SSL handshake", self)
            self._handshake_began = self._loop.time()
        self._timer = self._loop.call_later(self._handshake_timeout, self._handshake_too_slow)
        self._do_handshake()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport beneath reads into."""
        return self._view

    def received(self, buffer: ReadBuffer, count: int) -> None:
        if self._state == _WRAPPED and not (self._buffered_protocol or self._reading_paused or self._closed):
            # It is decrypted before anything else happens.
            self._session.lend(buffer, count)
        else:
            self._session.feed(buffer.view, count)
        self._proceed()

    def buffer_updated(self, nbytes: int) -> None:
        """*nbytes* have come, encrypted."""
        self._session.feed(self._view, nbytes)
        self._proceed()

    def _proceed(self) -> None:
        state = self._state
        if state == _WRAPPED:
            self._read()
        elif state == _HANDSHAKE:
            self._do_handshake()
        elif state == _FLUSHING:
            self._flush()
        elif state == _SHUTDOWN:
            self._do_shutdown()

    def eof_received(self) -> bool:
        """The peer sends no more.  True keeps the transport beneath open until the application has read what came."""
        self._eof = True
        try:
            if self._loop.get_debug():
                asyncio_private.logger.debug("%r received EOF", self)
            if self._state == _HANDSHAKE:
                self._handshake_failed(ConnectionResetError("the peer closed the connection during the TLS handshake"))
            elif self._state == _WRAPPED:
                self._state = _FLUSHING
                if self._reading_paused:
                    return True
                self._flush()
            else:
                self._proceed()
        except Exception:
            if self._raw is not None:
                self._raw.close()
            raise
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport beneath is closed."""
        self._state = _CLOSED
        self._closed = True
        self._backlog.clear()
        self._backlog_size = 0
        self._session.take()
        self._writes_after_close += 1
        if self._app_state == _MADE or self._app_state == _AT_EOF:
            self._app_state = _LOST
            self._loop.call_soon(self._protocol.connection_lost, exc)
        self._raw = None
        self._stream = None
        self._protocol = None
        self._stop_timer()
        if exc is None and self._app_state == _NOT_MADE:
            exc = ConnectionAbortedError("the connection was closed before the TLS handshake was complete")
        self._wake_waiter(exc)

    # -- The handshake

    def _do_handshake(self) -> None:
        try:
            done = self._session.handshake()
        except ssl.SSLError as error:
            self._handshake_failed(error)
            return
        if done:
            self._handshake_done()
        else:
            self._send()

    def _handshake_done(self) -> None:
        self._stop_timer()
        session = self._session.object
        try:
            peer_certificate = session.getpeercert()
        except Exception as error:
            self._handshake_failed(error)
            return
        self._state = _WRAPPED
        if self._loop.get_debug():
            took = (self._loop.time() - self._handshake_began) * 1e3
            asyncio_private.logger.debug("%r: SSL handshake took %.1f ms", self, took)
        self._extra.update(
            peercert=peer_certificate,
            cipher=session.cipher(),
            compression=session.compression(),
            ssl_object=session,
            tls_engine=self._session.engine(),
        )
        if self._app_state == _NOT_MADE:
            self._app_state = _MADE
            self._protocol.connection_made(self)
        self._wake_waiter(None)
        self._read()

    def _handshake_failed(self, error: Exception) -> None:
        self._stop_timer()
        if isinstance(error, ssl.CertificateError):
            message = "SSL handshake failed on verifying the certificate"
        else:
            message = "SSL handshake failed"
        self._fatal_error(error, message)
        self._wake_waiter(error)

    def _handshake_too_slow(self) -> None:
        if self._state == _HANDSHAKE:
            self._fatal_error(
                ConnectionAbortedError(
                    f"SSL handshake is taking longer than {self._handshake_timeout} seconds: aborting the connection"
                )
            )

    def _wake_waiter(self, error: BaseException | None) -> None:
        waiter = self._waiter
        self._waiter = None
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    # -- Reading

    def is_reading(self) -> bool:
        """True unless reading is paused."""
        return not self._reading_paused

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`.  Harmless if already paused."""
        self._reading_paused = True

    def resume_reading(self) -> None:
        """Go on delivering.  Harmless if not paused."""
        if self._reading_paused:
            self._reading_paused = False
            self._loop.call_soon(self._reading_resumed)

    def _reading_resumed(self) -> None:
        if self._state >= _WRAPPED:
            self._proceed()

    def _read(self) -> None:
        """Hand on what has come, and answer the peer's own requests to the session."""
        try:
            if not self._reading_paused and not self._closed:
                if self._buffered_protocol:
                    self._read_into_protocol()
                else:
                    self._read_bytes()
                if self._backlog_size:
                    self._write()
                else:
                    self._send()
            self._control_reading()
        except Exception as error:
            self._fatal_error(error, "Fatal error on SSL protocol")

    def _read_bytes(self) -> None:
        session = self._session
        while not self._reading_paused and not self._closed:
            data = session.decrypt_all(READ_SIZE)
            # Whoever is called now may decrypt as well.
            error, at_end = session.error, session.at_end
            if data:
                self._protocol.data_received(data)
            if error is not None:
                raise error
            if at_end:
                self._closed_by_peer()
            elif data and session.has_pending():
                continue
            return

    def _read_into_protocol(self) -> None:
        while self._session.has_pending() and not self._reading_paused and not self._closed:
            buffer = self._protocol.get_buffer(self._session.fed())
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
            filled = self._session.decrypt(buffer)
            error, at_end = self._session.error, self._session.at_end
            if filled:
                self._protocol.buffer_updated(filled)
            if error is not None:
                raise error
            if at_end:
                self._closed_by_peer()
                return
            if not filled:
                return

    def _closed_by_peer(self) -> None:
        self._tell_end()
        self._start_shutdown()

    def _tell_end(self) -> None:
        if self._app_state != _MADE:
            return
        self._app_state = _AT_EOF
        try:
            if self._protocol.eof_received():
                asyncio_private.logger.warning("returning true from eof_received() has no effect when using ssl")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._fatal_error(error, "Error calling eof_received()")

    # -- Writing

    def write(self, data: Any) -> None:
        """Send *data*: bytes, or a bytearray or memoryview, which may be changed again at once.  Never blocks.

        Raises `TypeError` for other types.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if not data:
            return
        if self._closed or self._state >= _FLUSHING:
            self._write_to_closed()
            return
        try:
            self._encrypt(data)
            if self._state == _WRAPPED:
                self._send()
        except Exception as error:
            self._fatal_error(error, "Fatal error on SSL protocol")

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send all of *list_of_data*, pieces as `write` takes them, one after another."""
        pieces = list(list_of_data)
        for data in pieces:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if self._closed or self._state >= _FLUSHING:
            self._write_to_closed()
            return
        try:
            for data in pieces:
                self._encrypt(data)
            if self._state == _WRAPPED:
                self._send()
        except Exception as error:
            self._fatal_error(error, "Fatal error on SSL protocol")

    def can_write_eof(self) -> bool:
        """False: TLS, as asyncio speaks it, cannot be closed for writing alone."""
        return False

    def write_eof(self) -> None:
        """Raises `NotImplementedError`; see `can_write_eof`."""
        raise NotImplementedError("a TLS connection cannot be closed for writing alone: use close()")

    def _write_to_closed(self) -> None:
        if self._writes_after_close >= asyncio_private.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
            asyncio_private.logger.warning("SSL connection is closed")
        self._writes_after_close += 1

    def _encrypt(self, data: Any) -> None:
        if type(data) is memoryview and data.format != "B":
            data = bytes(data)  # Its length is not in bytes.
        size = len(data)
        if self._state == _WRAPPED and not self._backlog_size:
            taken = self._session.encrypt(data)
            if taken == size:
                return
            data = memoryview(data)[taken:]
        # The caller may change what is not bytes.
        self._append(data if type(data) is bytes else bytes(data))

    # -- The end

    def close(self) -> None:
        """Deliver nothing more, write what is buffered, say goodbye to the peer, then close.

        `connection_lost` is called when the peer has said goodbye too, or has sent another megabyte instead, with None;
        or with a `TimeoutError` if that takes longer than ``ssl_shutdown_timeout`` seconds.
        """
        if self._closed:
            return
        self._closed = True
        if self._state == _FLUSHING:
            # The peer has ended already, and the application did not want to read the rest.
            self._flush()
        else:
            self._start_shutdown()

    def abort(self) -> None:
        """Close at once; what is buffered is lost.  `connection_lost` is called with None."""
        self._force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        # asyncio's name: what lies above calls it, on this transport as on any other.
        self._closed = True
        if self._state != _OPENING:
            self._state = _CLOSED
            self._force_raw_closed(exc)

    def _start_shutdown(self) -> None:
        self._closed = True
        if self._state == _HANDSHAKE:
            self._state = _CLOSED
            self._force_raw_closed(None)
        elif self._state == _WRAPPED:
            self._state = _FLUSHING
            self._timer = self._loop.call_later(self._shutdown_timeout, self._shutdown_too_slow)
            self._flush()

    def _flush(self) -> None:
        self._read()
        if self._state != _FLUSHING or (self._reading_paused and not self._closed):
            return
        if self._backlog:
            self._write()
            if self._backlog and not self._eof:
                # OpenSSL first needs something from the peer.
                return
        self._state = _SHUTDOWN
        self._do_shutdown()

    def _do_shutdown(self) -> None:
        try:
            done = self._eof or self._discard() or self._session.goodbye()
        except ssl.SSLError as error:
            self._shutdown_done(error)
            return
        if self._discarded > _DISCARD_AT_MOST:
            self._force_close(None)
            return
        self._send()
        if done:
            self._tell_end()
            self._shutdown_done(None)
        else:
            self._control_reading()

    def _discard(self) -> bool:
        """Drop what the peer has sent before it learnt that we close: its goodbye is behind it.

        True if there is nobody to say goodbye to: the peer's alert is an end too, and a peer that only goes on sending
        is left without one.
        """
        session = self._session
        while True:
            filled = session.decrypt(self._view)
            self._discarded += filled
            if session.error is not None:
                return "_ALERT_" in (getattr(session.error, "reason", None) or "")
            if self._discarded > _DISCARD_AT_MOST:
                return True
            if session.at_end or filled < len(self._view):
                return False

    def _shutdown_done(self, error: Exception | None) -> None:
        self._stop_timer()
        if error is not None:
            self._fatal_error(error)
        elif self._raw is not None:
            self._raw.close()

    def _shutdown_too_slow(self) -> None:
        if self._state in (_FLUSHING, _SHUTDOWN):
            self._force_raw_closed(TimeoutError("SSL shutdown timed out"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on transport") -> None:
        raw = self._raw
        self._state = _CLOSED
        if raw is not None:
            self._send_alert()
            self._force_raw_closed(error)
        if isinstance(error, OSError):
            if self._loop.get_debug():
                asyncio_private.logger.debug("%r: %s", self, message, exc_info=error)
        elif not isinstance(error, asyncio.CancelledError):
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "transport": raw, "protocol": self}
            )

    def _send_alert(self) -> None:
        """Send what OpenSSL has to tell the peer about what went wrong, as far as the socket takes it at once."""
        raw = self._raw
        if self._session.outgoing() and not raw.is_closing():
            raw.write(self._session.take())
            raw.get_write_buffer_size()  # Whoever asks has everything written first.

    def _force_raw_closed(self, error: BaseException | None) -> None:
        raw = self._raw
        if raw is None:
            return
        force = getattr(raw, "_force_close", None)
        if force is not None:
            force(error)
        else:
            raw.abort()
