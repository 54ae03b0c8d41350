"""Why `up` does not start."""


class StartRefused(Exception):
    """`up` does not start. `str()` is one sentence."""
