"""``hocket run MODULE:FUNCTION``."""

from __future__ import annotations

import signal

import pytest

from .workplace import Ended, Workplace, refused


def test_arguments_and_search_path(workplace: Workplace) -> None:
    """The module is found in the current directory, and the function finds the arguments in sys.argv."""
    workplace.write(
        "app.py",
        """
        import sys
        async def serve():
            print(sys.argv, sys.path[0])
        """,
    )
    ended = workplace.hocket("run", "app:serve", "--port", "80")
    assert ended == Ended(0, f"['app:serve', '--port', '80'] {workplace.directory}\n", "")


def test_function_of_a_module_in_a_package(workplace: Workplace) -> None:
    workplace.write(
        "package/part.py", "class Service:\n    @staticmethod\n    async def run():\n        print('ran')\n"
    )
    assert workplace.hocket("run", "package.part:Service.run") == Ended(0, "ran\n", "")


@pytest.mark.parametrize(
    ("result", "code"), [("None", 0), ("0", 0), ("3", 3), ("True", 0), ("False", 0), ("'text'", 0), ("object()", 0)]
)
def test_result_as_exit_code(result: str, code: int, workplace: Workplace) -> None:
    """An int is the exit code; every other result is ignored."""
    workplace.write("app.py", f"async def main():\n    return {result}\n")
    assert workplace.hocket("run", "app:main") == Ended(code, "", "")


def test_exit_in_the_function(workplace: Workplace) -> None:
    """SystemExit in the function ends the process as in a script."""
    workplace.write("app.py", "async def main():\n    raise SystemExit('stopped')\n")
    assert workplace.hocket("run", "app:main") == Ended(1, "", "stopped\n")


def test_traceback_starts_in_the_program(workplace: Workplace) -> None:
    """An exception is shown from the function on, without the frames that run it."""
    path = workplace.write(
        "app.py", "async def main():\n    return await work()\n\nasync def work():\n    raise KeyError(1)\n"
    )
    ended = workplace.hocket("run", "app:main")
    shown = [line for line in ended.stderr.splitlines() if "^" not in line]
    assert (ended.code, shown) == (
        1,
        [
            "Traceback (most recent call last):",
            f'  File "{path}", line 2, in main',
            "    return await work()",
            f'  File "{path}", line 5, in work',
            "    raise KeyError(1)",
            "KeyError: 1",
        ],
    )


def test_traceback_of_an_import_that_fails(workplace: Workplace) -> None:
    """An import that fails inside the module is the program's error: its traceback and exit code 1."""
    path = workplace.write("app.py", "import nowhere\nasync def main(): pass\n")
    ended = workplace.hocket("run", "app:main")
    assert (ended.code, ended.stderr) == (
        1,
        "Traceback (most recent call last):\n"
        f'  File "{path}", line 1, in <module>\n'
        "    import nowhere\n"
        "ModuleNotFoundError: No module named 'nowhere'\n",
    )


def test_module_that_imports_itself_under_a_missing_name(workplace: Workplace) -> None:
    """An import that fails in a package is the program's error even if it is for the very module that was asked for."""
    workplace.write("package/__init__.py", "import package.part")
    ended = workplace.hocket("run", "package.part:main")
    assert ended.code == 1
    assert "import package.part" in ended.stderr


def test_syntax_error_in_the_module(workplace: Workplace) -> None:
    """A syntax error is shown as python shows it, and the exit code is 1."""
    path = workplace.write("app.py", "def (:\n")
    ended = workplace.hocket("run", "app:main")
    assert ended.code == 1
    assert ended.stderr.startswith(f'  File "{path}", line 1\n')


def test_control_c(workplace: Workplace) -> None:
    """Interrupted, the function is cancelled, cleans up, and the process dies by SIGINT."""
    workplace.write(
        "app.py",
        """
        import asyncio, os, signal
        async def main():
            asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
            try:
                await asyncio.sleep(30)
            finally:
                print("cleaned up")
        """,
    )
    ended = workplace.hocket("run", "app:main")
    assert (ended.code, ended.stdout) == (-signal.SIGINT, "cleaned up\n")
    assert ended.stderr.endswith("\nKeyboardInterrupt\n")
    assert "function.py" not in ended.stderr


def test_the_program_s_own_excepthook(workplace: Workplace) -> None:
    """sys.excepthook is called as under python, with the trimmed traceback."""
    workplace.write(
        "app.py",
        """
        import sys
        sys.excepthook = lambda kind, value, traceback: print(kind.__name__, value, traceback.tb_frame.f_code.co_name)
        async def main():
            raise ValueError("x")
        """,
    )
    assert workplace.hocket("run", "app:main") == Ended(1, "ValueError x main\n", "")


def test_worker_process(workplace: Workplace) -> None:
    """Functions of the module reach worker processes that start anew."""
    workplace.write(
        "app.py",
        """
        import asyncio, multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        def double(n):
            return 2 * n
        async def main():
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                print(await asyncio.get_running_loop().run_in_executor(pool, double, 21))
        """,
    )
    assert workplace.hocket("run", "app:main") == Ended(0, "42\n", "")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nowhere:main", "No module named 'nowhere'"),
        ("package.nowhere:main", "No module named 'package.nowhere'"),
        ("app.part:main", "'app' is not a package"),
        ("app:nowhere", "app has no 'nowhere'"),
        ("app:ordinary", "ordinary is not an async function (async def) but an ordinary function"),
        ("app:generator", "but an async generator"),
        ("app:VALUE", "but an object of type int"),
        ("app:demanding", "missing a required argument: 'port'"),
        ("app:keyword", "argument: 'host'"),
    ],
)
def test_function_that_cannot_be_run(target: str, reason: str, workplace: Workplace) -> None:
    """What is not an async function without required arguments is refused in one line, also under --report."""
    workplace.write("package/__init__.py", "")
    workplace.write(
        "app.py",
        """
        VALUE = 1
        def ordinary(): pass
        async def generator(): yield
        async def demanding(port): pass
        async def keyword(*, host): pass
        """,
    )
    assert reason in refused(workplace.hocket("run", target))
    assert reason in refused(workplace.hocket("run", "--report", target))


def test_a_file_with_a_colon_in_its_name(workplace: Workplace) -> None:
    """A file of that name is a script."""
    workplace.write("odd:name", "print('script')")
    assert workplace.hocket("run", "odd:name") == Ended(0, "script\n", "")
