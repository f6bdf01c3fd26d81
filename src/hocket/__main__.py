"""Makes ``python -m hocket`` the same as the ``hocket`` command."""

from __future__ import annotations

import sys

from hocket.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
