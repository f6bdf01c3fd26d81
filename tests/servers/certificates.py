"""An authority, certificates and keys, as files for servers and as contexts for the tests."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True)
class Files:
    """Where a certificate and its key lie."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into *directory*; `file` is its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.file = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def issue(self, *identities: str, common_name: str | None = None) -> Files:
        name = identities[0]
        issued = self._authority.issue_cert(*identities, common_name=common_name, key_type=trustme.KeyType.ECDSA)
        files = Files(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        files.key.write_bytes(issued.private_key_pem.bytes())
        files.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return files

    def server(self, files: Files, version: str | None = None, *, wants_client: bool = False) -> ssl.SSLContext:
        """A server's context with the certificate of *files*; *version* is the only one it speaks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        return self._finish(context, version, wants_client)

    def client(
        self, files: Files | None = None, version: str | None = None, of: type[ssl.SSLContext] = ssl.SSLContext
    ) -> ssl.SSLContext:
        """A client's context, which trusts this authority; with the certificate of *files*, if any."""
        context = of(ssl.PROTOCOL_TLS_CLIENT)
        if files is not None:
            context.load_cert_chain(files.certificate, files.key)
        return self._finish(context, version, True)

    def _finish(self, context: ssl.SSLContext, version: str | None, verifies: bool) -> ssl.SSLContext:
        if version is not None:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        if verifies:
            context.load_verify_locations(self.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class RememberingContext(ssl.SSLContext):
    """A client's context that resumes the session in `kept`.  asyncio has no argument for it."""

    kept: ssl.SSLSession | None = None

    def wrap_bio(self, *arguments: object, **options: object) -> ssl.SSLObject:  # type: ignore[override]
        return super().wrap_bio(*arguments, **options | {"session": self.kept})  # type: ignore[arg-type]
