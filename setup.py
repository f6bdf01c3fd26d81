"""Decides which engine files are compiled, and nothing else; the metadata is in pyproject.toml.

Every module of the engine is a plain ``.py`` file.  A ``.pxd`` of the same name beside it gives Cython the C
types, and only files with such a twin (and the few ``.pyx`` of ``native/``) are compiled.

``HOCKET_NO_EXTENSIONS=1`` builds a pure wheel.  ``HOCKET_REQUIRE_EXTENSIONS=1`` makes a failed compile an error;
without it a failure is reported and the package works uncompiled (``hocket.is_compiled()`` tells).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

SOURCE = Path("src")


def wanted(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def extensions() -> list[Extension]:
    from Cython.Build import cythonize

    package = SOURCE / "hocket"
    sources = sorted(package.rglob("*.pyx"))
    # A .py beside a .pyx is its twin for the uncompiled leg.
    twins = [p.with_suffix(".py") for p in sorted(package.rglob("*.pxd")) if p.with_suffix(".pyx") not in sources]
    sources += [twin for twin in twins if twin.exists()]
    # Python's own flags ask for debug symbols, which take a third of the build and most of the wheel.
    debug_symbols = [] if "CFLAGS" in os.environ else ["-g0"]
    # Who asks for other optimisation (the sanitizers: -O3 takes them minutes a file) gets it.
    optimisation = [] if "-O" in os.environ.get("CFLAGS", "") else ["-O3"]
    modules = [
        Extension(
            ".".join(source.relative_to(SOURCE).with_suffix("").parts),
            [source.as_posix()],
            extra_compile_args=[*optimisation, "-fno-semantic-interposition", *debug_symbols],
        )
        for source in sources
    ]
    modules = cythonize(
        modules,
        build_dir=os.path.join("build", f"cython-{sys.version_info.major}.{sys.version_info.minor}"),
        annotate=wanted("HOCKET_ANNOTATE"),
        include_path=[str(SOURCE)],
        compiler_directives={
            "language_level": 3,
            "annotation_typing": False,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            # Methods that the interpreter calls the short way, and that tell their signature nevertheless.
            "binding": False,
            "auto_pickle": False,
            "embedsignature": True,
            "embedsignature.format": "clinic",  # what inspect.signature reads where binding is off
        },
    )
    for module in modules:
        module.optional = not wanted("HOCKET_REQUIRE_EXTENSIONS")  # cythonize() drops the flag
    return modules


def build_list() -> list[Extension]:
    if wanted("HOCKET_NO_EXTENSIONS"):
        return []
    if sys.implementation.name != "cpython":
        print("hocket: extensions are built for CPython only; installing the pure Python engine", file=sys.stderr)
        return []
    return extensions()


setup(ext_modules=build_list(), options={"build_ext": {"parallel": os.cpu_count()}})
