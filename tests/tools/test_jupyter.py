"""Jupyter: a kernel whose cells run on hocket's loop."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from .workplace import ToolWorkplace, succeeded

TOOL = "Jupyter: ipykernel, nbclient, IPython"
PACKAGES = ("ipykernel", "jupyter-client", "nbclient", "nbformat", "ipython")

WHICH = "import asyncio; print(type(asyncio.get_running_loop()).__module__)"


class Kernel:
    """A kernel that was started as a specification of it says."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str) -> str:
        """Execute a cell; return what it printed and its result, or raise with its traceback."""
        printed: list[str] = []

        def note(message: Any) -> None:
            content = message["content"]
            printed.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        reply = self.client.execute_interactive(code, timeout=60, output_hook=note)["content"]
        assert reply["status"] == "ok", "\n".join(reply.get("traceback", []))
        return "".join(printed).strip()


@pytest.fixture
def kernel(workplace: ToolWorkplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel of the specification in the documentation: `hocket run -m ipykernel_launcher`."""
    from jupyter_client.manager import KernelManager

    install_specification(workplace)
    for name, value in variables(workplace).items():
        monkeypatch.setenv(name, value)
    manager = KernelManager(kernel_name="hocket")
    manager.start_kernel(cwd=str(workplace.directory))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def variables(workplace: ToolWorkplace) -> dict[str, str]:
    """The environment in which Jupyter looks for kernels in the workplace only."""
    directory = str(workplace.directory)
    return {
        "JUPYTER_PATH": directory + "/share/jupyter",
        "JUPYTER_RUNTIME_DIR": directory + "/runtime",
        "JUPYTER_CONFIG_DIR": directory + "/config",
        "JUPYTER_PLATFORM_DIRS": "1",
        "IPYTHONDIR": directory + "/ipython",
        "PYTHONPATH": workplace.environment["PYTHONPATH"],
    }


def install_specification(workplace: ToolWorkplace) -> None:
    specification = {
        "argv": [sys.executable, "-m", "hocket", "run", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python (hocket)",
        "language": "python",
    }
    workplace.write("share/jupyter/kernels/hocket/kernel.json", json.dumps(specification))


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_cells(kernel: Kernel) -> None:
    """Cells run on hocket's loop; they may await; a task goes on between them; errors and interrupts come back."""
    assert kernel.run(WHICH) == "hocket.loop"
    assert kernel.run("await asyncio.sleep(0.01, 'slept')") == "'slept'"
    kernel.run(
        "async def count():\n    for number in range(3):\n        await asyncio.sleep(0.01)\n    return number\n"
        "task = asyncio.create_task(count())"
    )
    assert kernel.run("await task") == "2"
    assert kernel.run("async with asyncio.timeout(30):\n    await asyncio.gather(count(), count())") == ""
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        kernel.run("await asyncio.sleep(0)\n1 / 0")
    assert kernel.run("'alive'") == "'alive'"


def test_a_nested_run_is_refused_as_by_asyncio(kernel: Kernel) -> None:
    """asyncio.run() in a cell is refused, as under asyncio; the cell's own await is the way."""
    with pytest.raises(AssertionError, match="cannot be called from a running event loop"):
        kernel.run("import asyncio\nasync def f(): pass\nasyncio.run(f())")


def test_notebook(workplace: ToolWorkplace) -> None:
    """nbclient executes a whole notebook, and is itself run by hocket."""
    install_specification(workplace)
    ended = workplace.python(
        str(
            workplace.write(
                "program.py",
                f"""
                import hocket, nbformat
                from nbclient import NotebookClient

                book = nbformat.v4.new_notebook()
                book.cells = [
                    nbformat.v4.new_code_cell({WHICH!r}),
                    nbformat.v4.new_code_cell("await asyncio.sleep(0, 41) + 1"),
                ]
                client = NotebookClient(book, kernel_name="hocket", timeout=60)
                hocket.run(client.async_execute())
                print([cell.outputs[0].get("text") or cell.outputs[0].data["text/plain"] for cell in book.cells])
                """,
            )
        ),
        **variables(workplace),
    )
    assert succeeded(ended).splitlines()[-1] == str(["hocket.loop\n", "42"])


def test_ipython(workplace: ToolWorkplace) -> None:
    """IPython's %autoawait under `hocket run`: top-level await on hocket's loop, the same one for every input."""
    ended = workplace.hocket(
        *("run", "-m", "IPython", "--quick", "--colors=NoColor", "--simple-prompt", "--no-banner", "--no-confirm-exit"),
        stdin="import asyncio\n"
        "first = await asyncio.sleep(0, asyncio.get_running_loop())\n"
        "print(type(first).__module__)\n"
        "await asyncio.sleep(0, 'the same') if asyncio.get_running_loop() is first else 'another'\n"
        "exit\n",
        **variables(workplace),
    )
    printed = succeeded(ended)
    assert "hocket.loop" in printed and "'the same'" in printed
