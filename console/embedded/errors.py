"""Why `up` does not start."""


class Refusal(Exception):
    """`up` does not start. `str()` is one sentence."""
