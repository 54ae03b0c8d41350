"""Where a request may be as large as an archive. Pure; `urls` routes it."""

import re

_UPLOAD = re.compile(r"/deployments/[-a-z0-9]+/deploys/new/")


def is_upload(path: str) -> bool:
    """Whether an archive is posted to this path."""
    return _UPLOAD.fullmatch(path) is not None
