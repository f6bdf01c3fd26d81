"""The screen of ``hocket top``: `source` asks the process, `rates` makes rates of counts, the others show them."""
