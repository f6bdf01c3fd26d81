"""Contexts for both sides of a TLS session, made once; ECDSA, so that a handshake takes a millisecond."""

from __future__ import annotations

import functools
import ssl

import trustme

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@functools.cache
def contexts(version: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The client's and the server's."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().configure_trust(client)
    _authority().issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(server)
    server.num_tickets = 1
    for context in (client, server):
        context.minimum_version = context.maximum_version = VERSIONS[version]
    return client, server
