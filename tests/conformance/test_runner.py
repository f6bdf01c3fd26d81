"""The runner itself: it tells outcomes apart, survives tests that kill their process, and knows who used hocket."""

import pytest

from . import exclusions, runner
from .modules import Module

SAMPLE = Module("sample", test_timeout=6.0, package=__package__)
OWNER = f"{SAMPLE.dotted}.Sample"


@pytest.fixture(scope="module")
def stock() -> dict[str, runner.Result]:
    return runner.run_side(SAMPLE, "stock")


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("test_passes", "passed"),
        ("test_is_skipped", "skipped"),
        ("test_fails", "failed"),
        ("test_fails_in_a_subtest", "failed"),
        ("test_dies", "died"),
        ("test_hangs", "died"),
    ],
)
def test_outcome_of_a_test(stock: dict[str, runner.Result], test: str, outcome: str) -> None:
    """Each outcome is told by its name, also those of tests that end or block their process."""
    assert stock[f"{OWNER}.{test}"].outcome == outcome


def test_a_class_that_cannot_be_set_up_is_a_failure(stock: dict[str, runner.Result]) -> None:
    """A failed fixture is not lost, although none of its tests has started."""
    failed_fixtures = [result for name, result in stock.items() if "setUpClass" in name]
    assert [result.outcome for result in failed_fixtures] == ["failed"]


def test_a_loop_made_on_the_hocket_side_is_hockets() -> None:
    """The doors lead to hocket, and what went through them is counted."""
    name = f"{OWNER}.test_makes_a_loop"
    assert runner.run_side(SAMPLE, "hocket", only=[name])[name].loops == 1


def test_a_loop_made_on_the_stock_side_is_not_hockets() -> None:
    """The baseline is asyncio's own."""
    name = f"{OWNER}.test_makes_a_loop"
    assert runner.run_side(SAMPLE, "stock", only=[name])[name].loops == 0


def test_a_failure_that_stock_asyncio_has_too_is_not_hockets() -> None:
    """The same test runs on stock asyncio before hocket is blamed."""
    found = runner.check(SAMPLE, ["test_fails"])
    assert (len(found.also_on_stock), found.failures) == (2, [])


def test_a_withheld_test_is_named_and_does_not_run() -> None:
    """A test that would hang is told apart from one that does not exist."""
    name = f"{OWNER}.test_hangs"
    assert runner.run_side(SAMPLE, "stock", never=[name], patterns=["test_hangs"])[name].outcome == "withheld"


def test_every_exclusion_gives_a_reason_once() -> None:
    """No test is listed twice, and each says why."""
    entries = exclusions.EXCLUSIONS + exclusions.KNOWN_BUGS
    assert all(entry.reason and set(entry.versions) <= set(exclusions.ALL) for entry in entries)
    assert len({entry.test for entry in entries}) == len(entries)
