"""A program prints the same, byte for byte, and ends the same under ``python`` and under ``hocket run``."""

from __future__ import annotations

import signal
import zipapp

import pytest

from .workplace import Workplace, without_engine

# Each ends with exit code 0 and prints something, under both.
WORKING = {
    "arguments": """
        import sys
        print(sys.argv, __name__, __file__)
    """,
    "search path": """
        import sys
        print(sys.path, sys.flags, sys.warnoptions, sys._xoptions)
    """,
    "environment": """
        import os
        print(sorted(item for item in os.environ.items() if item[0] != "_"))
    """,
    "nothing but the program in __main__": """
        import sys
        main = sys.modules["__main__"]
        print(sorted(vars(main)), vars(main) is globals(), main.__spec__, main.__package__, main.__doc__)
        print(type(main.__loader__).__name__, type(__builtins__).__name__)
        print("sitecustomize" in sys.modules, "runpy" in sys.modules)
    """,
    "a stack without frames of another program": """
        import sys, traceback
        def depth():
            traceback.print_stack()
            frame, count = sys._getframe(), 0
            while frame := frame.f_back:
                count += 1
            return count
        print(depth())
    """,
    "tasks and timers": """
        import asyncio
        async def worker(number):
            await asyncio.sleep(number / 5)
            print("worker", number)
            return number * number
        async def main():
            print(await asyncio.gather(*map(worker, (3, 1, 2))))
        asyncio.run(main())
    """,
    "a loop made by hand": """
        import asyncio
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.call_soon(print, "soon")
        print(loop.run_until_complete(asyncio.sleep(0.01, "slept")))
        loop.close()
        print(loop.is_closed())
    """,
    "the order of what happens at exit": """
        import asyncio, atexit, threading, time
        atexit.register(print, "first registered")
        atexit.register(print, "second registered")
        go = threading.Event()
        def work():
            go.wait()
            time.sleep(0.1)
            print("thread ends")
        threading.Thread(target=work).start()
        async def main():
            print("main ends")
        asyncio.run(main())
        go.set()
    """,
    "standard input": """
        print(input() + "!", input())
    """,
    "an async generator is closed with the loop": """
        import asyncio
        async def numbers():
            try:
                yield 1
                yield 2
            finally:
                print("closed")
        async def main():
            async for number in numbers():
                print(number)
                break
        asyncio.run(main())
    """,
    "a class pickled by name": """
        import pickle
        class Point:
            pass
        print(pickle.loads(pickle.dumps(Point)) is Point, Point.__module__, b"__main__" in pickle.dumps(Point))
    """,
    "an imported neighbour": """
        import neighbour
        print(neighbour.VALUE, neighbour.__name__)
    """,
}

# Each ends by an error, or with an exit code of its own, and so under both.
FAILING = {
    "exception": """
        def fail():
            raise LookupError("not here")
        fail()
    """,
    "chained exceptions": """
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise RuntimeError("second") from error
    """,
    "exception in a coroutine": """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            raise ValueError("from a task")
        asyncio.run(main())
    """,
    "exception group": """
        import asyncio
        async def fail(number):
            await asyncio.sleep(0)
            raise ValueError(number)
        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(fail(1))
                group.create_task(fail(2))
        asyncio.run(main())
    """,
    "exception never retrieved": """
        import asyncio, gc
        async def fail():
            raise ValueError("nobody looks")
        async def main():
            task = asyncio.create_task(fail(), name="forgotten")
            await asyncio.sleep(0.01)
            del task
            gc.collect()
        asyncio.run(main())
        raise SystemExit(5)
    """,
    "coroutine never awaited": """
        import asyncio
        async def work():
            pass
        async def main():
            work()
        asyncio.run(main())
        raise SystemExit(4)
    """,
    "exit with a number": "import sys; sys.exit(7)",
    "exit with a number over 255": "import sys; sys.exit(258)",
    "exit with a message": "import sys; sys.exit('a message')",
    "exit with an object": "import sys; sys.exit(['a', 1])",
    "exit from a task": """
        import asyncio, sys
        async def leave():
            await asyncio.sleep(0)
            sys.exit(9)
        async def main():
            await asyncio.create_task(leave())
        asyncio.run(main())
    """,
    "exit at once": "import os; print('lost unless flushed', flush=True); os._exit(3)",
    "exception at exit": """
        import atexit
        class Fail:
            def __repr__(self):
                return "Fail()"
            def __call__(self):
                raise OSError("late")
        atexit.register(Fail())
        raise SystemExit(2)
    """,
    "its own excepthook": """
        import sys
        sys.excepthook = lambda kind, value, traceback: print("hook:", kind.__name__, value, traceback.tb_lineno)
        raise KeyError("x")
    """,
    "recursion": """
        depth = 0
        def deeper():
            global depth
            depth += 1
            deeper()
        try:
            deeper()
        except RecursionError:
            raise SystemExit(f"{depth} calls")
    """,
    "syntax error": "print('never')\ndef (:\n",
    "indentation error": "if True:\nprint('x')\n",
    "unknown encoding": "# coding: no-such-encoding\n",
    "interrupt": """
        print("before", flush=True)
        raise KeyboardInterrupt
    """,
    "a signal without handler": """
        import os, signal
        os.kill(os.getpid(), signal.SIGTERM)
    """,
    "a broken asyncio.run": """
        import asyncio
        asyncio.run(print)
    """,
    "a deadline missed": """
        import asyncio
        async def main():
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("name", WORKING)
def test_working_program(name: str, workplace: Workplace) -> None:
    """Output and exit code of a program that works are the same under both."""
    workplace.write("neighbour.py", "VALUE = 42")
    workplace.write("program.py", WORKING[name])
    arguments = ("program.py", "--debug", "-m", "--", "a b", "")
    expected = workplace.python(*arguments, stdin="one\ntwo\n")
    assert (expected.code, bool(expected.stdout)) == (0, True)
    assert workplace.hocket("run", *arguments, stdin="one\ntwo\n") == expected


@pytest.mark.parametrize("name", FAILING)
def test_failing_program(name: str, workplace: Workplace) -> None:
    """What a failing program leaves on stdout, on stderr and as its exit code is the same under both.

    The one exception is the frame in which a future of the engine raises what ``asyncio.run`` waits for.
    """
    workplace.write("program.py", FAILING[name])
    expected = workplace.python("program.py")
    assert expected.code != 0
    assert without_engine(workplace.hocket("run", "program.py")) == expected


def test_control_c_in_plain_code(workplace: Workplace) -> None:
    """A process interrupted outside a loop shows KeyboardInterrupt and dies by SIGINT, under both."""
    workplace.write("program.py", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('never')\n")
    expected = workplace.python("program.py")
    assert expected.code == -signal.SIGINT
    assert workplace.hocket("run", "program.py") == expected


def test_control_c_in_a_waiting_task(workplace: Workplace) -> None:
    """Interrupted in asyncio.run, the main task is cancelled, cleans up, and the process dies by SIGINT: as python."""
    workplace.write(
        "program.py",
        """
        import asyncio, os, signal, threading
        async def main():
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                await asyncio.sleep(30)
            finally:
                print("cleaned up")
        asyncio.run(main())
        """,
    )
    expected = workplace.python("program.py")
    assert (expected.code, expected.stdout) == (-signal.SIGINT, "cleaned up\n")
    assert without_engine(workplace.hocket("run", "program.py")) == expected


def test_module(workplace: Workplace) -> None:
    """``hocket run -m`` runs a module as ``python -m`` does, with its package, arguments and traceback."""
    workplace.write("package/__init__.py", "print('imported once')")
    workplace.write("package/other.py", "VALUE = 1")
    workplace.write(
        "package/part.py",
        """
        import sys
        from .other import VALUE
        print(VALUE, sys.argv, sys.path, __name__, __spec__.name, __package__, __file__)
        raise RuntimeError("shown as python shows it")
        """,
    )
    expected = workplace.python("-m", "package.part", "-m", "--report")
    assert expected.code == 1
    assert workplace.hocket("run", "-m", "package.part", "-m", "--report") == expected
    assert workplace.hocket("run", "-mpackage.part", "-m", "--report") == expected


def test_package_as_module(workplace: Workplace) -> None:
    """``hocket run -m package`` runs its ``__main__``."""
    workplace.write("package/__init__.py", "")
    workplace.write("package/__main__.py", "print(__name__, __spec__.name, __package__)")
    expected = workplace.python("-m", "package")
    assert expected.stdout == "__main__ package.__main__ package\n"
    assert workplace.hocket("run", "-m", "package") == expected


def test_package_that_extends_its_path(workplace: Workplace) -> None:
    """A module that can be found only after its package ran is not declared missing."""
    workplace.write("elsewhere/part.py", "print('found')")
    workplace.write("package/__init__.py", "import os; __path__.append(os.path.abspath('elsewhere'))")
    expected = workplace.python("-m", "package.part")
    assert expected.stdout == "found\n"
    assert workplace.hocket("run", "-m", "package.part") == expected


def test_namespace_package(workplace: Workplace) -> None:
    """A module in nested directories without ``__init__.py`` runs."""
    workplace.write("outer/inner/part.py", "print(__name__, __package__)")
    expected = workplace.python("-m", "outer.inner.part")
    assert expected.stdout == "__main__ outer.inner\n"
    assert workplace.hocket("run", "-m", "outer.inner.part") == expected


def test_directory(workplace: Workplace) -> None:
    """A directory with a ``__main__.py`` runs, and is itself first on the search path."""
    workplace.write("app/__main__.py", "import sys; print(sys.argv, sys.path[0], __file__)")
    expected = workplace.python("app", "x")
    assert expected.code == 0
    assert workplace.hocket("run", "app", "x") == expected


def test_zip_file(workplace: Workplace) -> None:
    """A zip file with a ``__main__.py`` runs."""
    workplace.write("app/__main__.py", "import sys; print(sys.argv, sys.path[0], __file__)")
    zipapp.create_archive(workplace.directory / "app", workplace.directory / "app.pyz")
    expected = workplace.python("app.pyz", "x")
    assert expected.code == 0
    assert workplace.hocket("run", "app.pyz", "x") == expected


def test_standard_input_as_program(workplace: Workplace) -> None:
    """``-`` reads the program from stdin."""
    source = "import sys, asyncio\nprint(sys.argv, sys.path[0])\nasyncio.run(asyncio.sleep(0))\n1 / 0\n"
    expected = workplace.python("-", "x", stdin=source)
    assert expected.code == 1
    assert workplace.hocket("run", "-", "x", stdin=source) == expected


def test_script_whose_name_starts_with_a_dash(workplace: Workplace) -> None:
    """``--`` ends hocket's own options."""
    workplace.write("-odd.py", "import sys; print(sys.argv)")
    expected = workplace.python("--", "-odd.py", "--report")
    assert expected.stdout == "['-odd.py', '--report']\n"
    assert workplace.hocket("run", "--", "-odd.py", "--report") == expected


@pytest.mark.parametrize("flags", [("-X", "dev"), ("-O",), ("-W", "error"), ("-P",), ("-u",)], ids=" ".join)
def test_flags_of_the_interpreter(flags: tuple[str, ...], workplace: Workplace) -> None:
    """The options given to the interpreter that runs hocket are the program's."""
    workplace.write(
        "program.py",
        """
        import asyncio, sys, warnings
        assert print("asserts run") is None
        print(sys.flags, sys.warnoptions, type(sys.stdout.buffer).__name__, sys.path[0])
        async def main():
            print(asyncio.get_running_loop().get_debug())
            asyncio.get_running_loop().slow_callback_duration = 60
        asyncio.run(main())
        warnings.warn("careful", RuntimeWarning)
        """,
    )
    expected = workplace.python("program.py", flags=flags)
    assert workplace.hocket("run", "program.py", flags=flags) == expected


def test_debug_option_is_asyncio_debug_mode(workplace: Workplace) -> None:
    """``--debug`` does what PYTHONASYNCIODEBUG=1 does: a lost exception comes with the line that made its task."""
    workplace.write(
        "program.py",
        """
        import asyncio, gc
        async def fail():
            raise ValueError("nobody looks")
        async def main():
            print(asyncio.get_running_loop().get_debug())
            task = asyncio.create_task(fail(), name="forgotten")
            await asyncio.sleep(0.01)
            del task
            gc.collect()
        asyncio.run(main())
        """,
    )
    usual = workplace.hocket("run", "program.py")
    assert (usual.stdout, 'create_task(fail(), name="forgotten")' in usual.stderr) == ("False\n", False)
    for ended in (
        workplace.hocket("run", "--debug", "program.py"),
        workplace.python("program.py", PYTHONASYNCIODEBUG="1"),
    ):
        assert ended.stdout == "True\n"
        assert "source_traceback: Object created at" in ended.stderr
        assert 'create_task(fail(), name="forgotten")' in ended.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("way", ["script", "module"])
def test_worker_processes(method: str, way: str, workplace: Workplace) -> None:
    """Functions and classes of the program reach its worker processes, however they are started."""
    workplace.write(
        "program.py",
        """
        import asyncio, multiprocessing, sys
        from concurrent.futures import ProcessPoolExecutor
        class Point:
            def __init__(self, x):
                self.x = x
        def double(point):
            return Point(2 * point.x), __name__
        async def main():
            context = multiprocessing.get_context(sys.argv[1])
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                loop = asyncio.get_running_loop()
                results = await asyncio.gather(*(loop.run_in_executor(pool, double, Point(n)) for n in range(4)))
            print([point.x for point, _ in results], {name for _, name in results})
        if __name__ == "__main__":
            asyncio.run(main())
        """,
    )
    target = ("program.py",) if way == "script" else ("-m", "program")
    expected = workplace.python(*target, method, flags=("-W", "ignore"))
    assert expected.stdout.startswith("[0, 2, 4, 6]")
    assert workplace.hocket("run", *target, method, flags=("-W", "ignore")) == expected


def test_sitecustomize_of_the_user(workplace: Workplace) -> None:
    """A sitecustomize of the user's own still runs, and is the module of that name."""
    workplace.write("site/sitecustomize.py", "import sys; sys.customized = sys.path[:2]")
    workplace.write("program.py", "import sitecustomize, sys; print(sitecustomize.__file__, sys.customized)")
    path = f"{workplace.directory / 'site'}:{workplace.environment['PYTHONPATH']}"
    expected = workplace.python("program.py", PYTHONPATH=path)
    assert expected.code == 0
    assert workplace.hocket("run", "program.py", PYTHONPATH=path) == expected
