"""CPython's asyncio tests as this project's: one test a module, run by `runner` in processes of their own."""

import pytest

from . import modules, report, runner


@pytest.mark.slow
@pytest.mark.parametrize("module", modules.present(), ids=lambda module: module.name)
def test_no_failure_that_stock_asyncio_does_not_have(module: modules.Module) -> None:
    """Each test of the module passes on hocket, fails on stock asyncio as well, or is excluded with a reason."""
    found = runner.check(module)
    print(report.line(found))
    assert found.ok, report.details(found)


@pytest.mark.slow
@pytest.mark.parametrize("module", modules.accelerated(), ids=lambda module: module.name)
def test_no_failure_with_the_primitives_in_place(module: modules.Module) -> None:
    """The same with hocket's primitives in place of asyncio's."""
    found = runner.check(module, accelerated=True)
    print(report.line(found))
    assert found.ok, report.details(found)


def test_every_module_of_the_interpreter_is_listed() -> None:
    """A module that a new Python brings is not left out unseen."""
    assert modules.present(), "this interpreter has no test.test_asyncio (on Debian: libpython3-testsuite)"
    assert modules.unlisted() == []
