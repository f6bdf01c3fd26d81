"""Tests with every outcome there is, for `test_runner`: what the runner must tell apart, and survive."""

import asyncio
import os
import time
import unittest


class Sample(unittest.TestCase):
    def test_dies(self) -> None:
        os._exit(3)

    def test_fails(self) -> None:
        self.fail("as it should")

    def test_fails_in_a_subtest(self) -> None:
        for number in (1, 2):
            with self.subTest(number=number):
                assert number == 1

    def test_hangs(self) -> None:
        time.sleep(600)

    def test_is_skipped(self) -> None:
        self.skipTest("as it should")

    def test_makes_a_loop(self) -> None:
        asyncio.new_event_loop().close()

    def test_passes(self) -> None:
        pass


class Unready(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        raise RuntimeError("as it should")

    def test_is_never_reached(self) -> None:
        pass
