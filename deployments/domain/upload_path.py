"""Where a request may be as large as an archive. Pure; `urls` routes it."""

import re

_UPLOAD = re.compile(r"/deployments/[-a-z0-9]+/deploys/new/")
_API_UPLOAD = re.compile(r"/api/v1/deployments/[-a-zA-Z0-9_]+/deploys")


def is_api_upload(path: str) -> bool:
    """Whether a program posts an archive to this path."""
    return _API_UPLOAD.fullmatch(path) is not None


def is_upload(path: str) -> bool:
    """Whether an archive is posted to this path."""
    return _UPLOAD.fullmatch(path) is not None
