"""The package as it is installed: which leg it is, what ships, what importing it costs."""

import importlib.metadata
import importlib.resources
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hocket
import hocket.core.task

LAYERS = [
    "cli",
    "observe",
    "serving",
    "propagate",
    "from_thread",
    "resilience",
    "structured",
    "loop",
    "primitives",
    "net",
    "drivers",
    "core",
    "native",
]
"""The house from the roof down, as in pyproject.toml; import-linter reads imports, but not the cimports of a .pxd."""

PACKAGE = Path(hocket.__file__).parent


def fresh(code: str) -> str:
    """What the code prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_is_compiled_tells_the_leg() -> None:
    """is_compiled() is true exactly when the engine is made of extension modules; the leg is the one meant."""
    loaded = "pure" if hocket.core.task.__file__.endswith(".py") else "compiled"
    assert ("compiled" if hocket.is_compiled() else "pure") == loaded == os.environ.get("HOCKET_TEST_LEG", loaded)


def test_import_loads_the_engine_when_it_is_asked_for() -> None:
    """A process that only imports hocket does not wait for it; everything is there at its first use."""
    code = (
        "import asyncio, sys; before = set(sys.modules); import hocket; print(set(sys.modules) - before - {'hocket'})"
    )
    assert fresh(code) in ("set()", "{'__future__'}")
    names = "hocket.Task, hocket.Future, hocket.EventLoop, hocket.run, hocket.Queue"
    assert fresh(f"import hocket; print(all(isinstance(name, object) for name in ({names})))") == "True"


def test_engine_is_compiled_as_a_whole() -> None:
    """Either every module with a .pxd twin is an extension module or none is: half an engine is slow unnoticed."""
    twins = {path.with_suffix("") for path in PACKAGE.rglob("*.pxd") if path.with_suffix(".py").exists()}
    built = {path.with_name(path.name.partition(".")[0]) for path in PACKAGE.rglob("*.so")}
    assert twins, "no .pxd ships"
    assert (twins <= built) if hocket.is_compiled() else not built


def test_version_is_that_of_the_metadata() -> None:
    """hocket.__version__ is what pip shows."""
    assert hocket.__version__ == importlib.metadata.version("hocket")


def test_type_information_ships() -> None:
    """py.typed is in the package, so that type checkers read hocket's annotations."""
    assert importlib.resources.files("hocket").joinpath("py.typed").is_file()


@pytest.mark.parametrize("name", ["EventLoop", "EventLoopPolicy", "Future", "Runner", "Task"])
def test_public_classes_are_exported(name: str) -> None:
    """The public classes are in __all__ and are classes."""
    assert name in hocket.__all__
    assert isinstance(getattr(hocket, name), type)


def test_what_few_programs_use_is_imported_when_asked_for() -> None:
    """A process that makes a loop waits neither for the primitives nor for TLS, datagrams or pipes."""
    seldom = (
        "primitives.queues",
        "primitives.waiting",
        "net.tls_transport",
        "native.openssl",
        "net.datagram",
        "net.pipes",
    )
    loaded = fresh(
        "import hocket, sys; hocket.run; print(*[name for name in sys.modules if name.startswith('hocket')])"
    ).split()
    assert "hocket.loop" in loaded
    assert not {f"hocket.{name}" for name in seldom} & set(loaded)


def test_names_that_are_imported_when_asked_for_are_listed() -> None:
    """dir() has every public name before it has been used, and one that is unknown is an error that names it."""
    assert (
        fresh("import hocket; print(set(hocket.__all__) <= set(dir(hocket)), hocket.Queue is hocket.Queue)")
        == "True True"
    )
    with pytest.raises(AttributeError, match="module 'hocket' has no attribute 'quue'"):
        _ = hocket.quue


def test_every_exported_name_exists() -> None:
    """`from hocket import *` works, and what it gives has a docstring, except the version."""
    undocumented = [name for name in hocket.__all__ if not name.startswith("_") and not getattr(hocket, name).__doc__]
    assert undocumented == []


def test_import_needs_the_standard_library_only() -> None:
    """Importing hocket loads nothing outside the standard library and hocket itself."""
    loaded = fresh("import sys; before = set(sys.modules); import hocket; print(*sorted(set(sys.modules) - before))")
    foreign = {name.partition(".")[0] for name in loaded.split()} - set(sys.stdlib_module_names) - {"hocket"}
    # What compiled modules share among themselves: cython_runtime, _cython_3_3_1.
    assert {name for name in foreign if "cython" not in name} == set()
    assert {"Cython", "cython"}.isdisjoint(foreign)


def test_import_leaves_asyncio_alone() -> None:
    """Importing hocket changes nothing for asyncio: only install() and the runners put hocket's loop in place."""
    code = "import asyncio, hocket; print(type(asyncio.new_event_loop()).__module__.partition('.')[0])"
    assert fresh(code) == "asyncio"


def test_compiled_imports_point_downwards() -> None:
    """No .pxd cimports from a folder above its own: the layers hold for the compiled engine too."""
    upward = []
    for path in PACKAGE.rglob("*.pxd"):
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for target in re.findall(r"^\s*from hocket\.(\w+)[\w.]* cimport", path.read_text(), re.MULTILINE):
            if LAYERS.index(target) < LAYERS.index(own):
                upward.append(f"{path.relative_to(PACKAGE)} cimports hocket.{target}")
    assert upward == []
