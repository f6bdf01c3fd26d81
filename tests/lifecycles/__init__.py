"""How loops begin, end, are interrupted and are forked, and what they report; much of it beside stock asyncio."""
