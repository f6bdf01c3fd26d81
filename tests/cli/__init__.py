"""Tests of the ``hocket`` command, as a user types it."""
