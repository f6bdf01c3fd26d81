"""The C programs of ``bench/native``, compiled when first needed into a cache outside the source tree.

The cache is ``$HOCKET_BENCH_CACHE``, else ``hocket-bench`` under ``$XDG_CACHE_HOME`` or ``~/.cache``. A program's file
name carries a digest of its source and of how it was compiled, so an edited source is compiled again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

NATIVE = Path(__file__).parent / "native"
FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")
# Programs made from another's source: the source, how it is compiled, and what it is linked with.
VARIANTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "echo_load_tls": ("echo_load", ("-DTLS",), ("-lssl", "-lcrypto")),
    "echo_load_udp": ("echo_load", ("-DUDP",), ()),
    "echo_load_http": ("echo_load", ("-DHTTP",), ()),
    "echo_load_websocket": ("echo_load", ("-DWEBSOCKET",), ()),
    "echo_server_unix": ("echo_server", ("-DUNIX",), ()),
    "connect_load_tls": ("connect_load", ("-DTLS",), ("-lssl", "-lcrypto")),
}


class ToolchainError(Exception):
    """A C program cannot be built here; the message says why and what would help."""


class LibraryMissing(ToolchainError):
    """A C program needs a library that is not installed; the other cases can do without."""


def cache_directory() -> Path:
    chosen = os.environ.get("HOCKET_BENCH_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hocket-bench"


def compiler() -> list[str]:
    """The command that compiles, which may be one in front of another, with arguments, as ``CC`` has it."""
    wanted, *arguments = shlex.split(os.environ.get("CC", "")) or ["cc"]
    found = shutil.which(wanted)
    if found is None:
        raise ToolchainError(
            f"the network cases need a C compiler, and there is no {wanted!r}: install one (Debian: apt install gcc)"
            " or name yours in CC"
        )
    return [found, *arguments]


def program(name: str) -> Path:
    """The executable made from ``bench/native/NAME.c``, or as :data:`VARIANTS` says.

    :raises LibraryMissing: without the headers of a library that it needs.
    :raises ToolchainError: without a compiler, on a system without epoll, or with the compiler's messages if it fails.
    """
    if platform.system() != "Linux":
        raise ToolchainError(f"the network cases need Linux (epoll); this is {platform.system()}")
    source_name, options, libraries = VARIANTS.get(name, (name, (), ()))
    source = NATIVE / f"{source_name}.c"
    cc = compiler()
    how = (*cc, platform.machine(), *FLAGS, *options, *libraries)
    digest = hashlib.sha256("\0".join(how).encode() + source.read_bytes()).hexdigest()
    built = cache_directory() / f"{name}-{digest[:16]}"
    if built.exists():
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    partial = built.with_name(f"{built.name}.{os.getpid()}.tmp")
    result = subprocess.run([*cc, *FLAGS, *options, "-o", partial, source, *libraries], capture_output=True, text=True)
    if result.returncode != 0 and libraries:
        raise LibraryMissing(
            f"{source_name}.c with {' '.join(libraries)} does not compile (Debian: apt install libssl-dev)"
        )
    if result.returncode != 0:
        raise ToolchainError(f"{cc} could not compile {source}:\n{result.stderr.strip()}")
    partial.replace(built)  # atomic: another run at the same time sees all of it or nothing
    return built
