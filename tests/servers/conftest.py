"""The servers, started when the first test asks for them and stopped after the last; and certificates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import installed
from .certificates import Authority, Files
from .daemons import Daemon, Postgres, Redis


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def localhost(authority: Authority) -> Files:
    """The certificate of localhost and 127.0.0.1."""
    return authority.issue("localhost", "127.0.0.1")


@pytest.fixture(scope="session")
def openssl() -> str:
    return installed.program("openssl")


def _kept(daemon: Daemon) -> Iterator[Daemon]:
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.close()


@pytest.fixture(scope="session")
def postgres_for_all(localhost: Files) -> Iterator[Daemon]:
    yield from _kept(Postgres(localhost))


@pytest.fixture
def postgres(postgres_for_all: Postgres) -> Postgres:
    """PostgreSQL, running, though the test before may have killed it."""
    if postgres_for_all.process is None:
        postgres_for_all.start()
    return postgres_for_all


@pytest.fixture(scope="session")
def redis_for_all() -> Iterator[Daemon]:
    yield from _kept(Redis())


@pytest.fixture
def redis_server(redis_for_all: Redis) -> Redis:
    """Redis, running, though the test before may have killed it."""
    if redis_for_all.process is None:
        redis_for_all.start()
    return redis_for_all
