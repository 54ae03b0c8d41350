"""Which requests wait for most of their life: event streams, and programs that wait for an operation or follow a log.

They take no turn (`turns`), and their blocking parts share a few threads (`threads`).
"""

import re

_LONG = re.compile(r".*/stream/|/api/v1/operations/[^/]+|/api/v1/deployments/[^/]+/logs")


def is_long(path: str) -> bool:
    """Whether requests to this address may last."""
    return _LONG.fullmatch(path) is not None
