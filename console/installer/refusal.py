"""Why Airdeck cannot be installed."""

from __future__ import annotations


class Refusal(Exception):
    """Nothing more is done. `str()` is one sentence that says what is wrong and what fixes it."""
