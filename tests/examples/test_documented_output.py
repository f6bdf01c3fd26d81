"""Every example prints what its docstring says, on hocket; and none is left out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.examples.conftest import Result
from tests.examples.documented import EXAMPLES, documented, example_files, is_documented

DEMONSTRATION = "aggregator.py"  # has tests of its own
WITH_DOCUMENTED_OUTPUT = [name for name in example_files() if name != DEMONSTRATION]


@pytest.mark.parametrize("name", WITH_DOCUMENTED_OUTPUT)
def test_an_example_prints_what_its_docstring_says(name: str, example: Callable[[str], Result]) -> None:
    """Exit code 0, standard output as documented, and nothing on standard error that is not documented."""
    expected, result = documented(name), example(name)
    assert result.code == 0, result.err
    assert is_documented(expected.output, result.out, ordered=expected.ordered), (
        f"documented:\n{chr(10).join(expected.output)}\n\nprinted:\n{result.out}"
    )
    errors = result.err
    if not any("Executing" in line for line in expected.errors):
        # In debug mode the loop tells of what a busy machine has kept waiting, too.
        errors = re.sub(r"^Executing .* took .* seconds\n", "", errors, flags=re.MULTILINE)
    assert is_documented(expected.errors, errors), result.err


@pytest.mark.parametrize("name", WITH_DOCUMENTED_OUTPUT)
def test_an_example_documents_output_that_can_differ(name: str) -> None:
    """Each docstring has an output block with fixed text in it, so that the test above can fail."""
    lines = documented(name).output
    assert any(re.search(r"\w{2}|^\d$", line.replace("...", "")) for line in lines)


def test_examples_are_found() -> None:
    """The list of examples is taken from the folder, not from a list that may be forgotten."""
    assert len(WITH_DOCUMENTED_OUTPUT) > 80
    assert "coroutines/await_keyword.py" in WITH_DOCUMENTED_OUTPUT
    assert DEMONSTRATION in example_files()


def test_the_readme_lists_every_example_once() -> None:
    """examples/README.md has one row for each file, and no row for a file that is not there."""
    rows = re.findall(r"^\| \[`([^`]+\.py)`\]\(([^)]+)\)", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert all(text == target for text, target in rows)
    assert sorted(text for text, _ in rows) == example_files()


@pytest.mark.parametrize(
    ("block", "text", "matches"),
    [
        (["a", "b"], "a\nb\n", True),
        (["a", "b"], "b\na\n", False),
        (["a"], "a\nmore\n", False),
        (["took ~0.10 s"], "took 0.13 s\n", True),
        (["took ~0.10 s"], "took long\n", False),
        (["a", "...", "z"], "a\nb\nc\nz\n", True),
        (["a...z"], "a b\nz\n", False),
        (["A |==  |"], "A |===|\n", True),
        (["A |==  |"], "B |==  |\n", False),
        ([], "", True),
        ([], "a warning\n", False),
    ],
)
def test_the_comparison_with_a_docstring_is_strict(block: list[str], text: str, matches: bool) -> None:
    """Order, missing and additional lines count; measured numbers and the length of bars do not."""
    assert is_documented(block, text) is matches


def test_a_block_in_varying_order_needs_the_same_lines() -> None:
    """Where chance decides the order, every line must still be there, as often as documented."""
    assert is_documented(["a", "b"], "b\na\n", ordered=False)
    assert not is_documented(["a", "b"], "b\nb\n", ordered=False)
