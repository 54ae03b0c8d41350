"""Where collectstatic puts files, and how small: gzip for all, brotli as well for those that pages load."""

import os
from typing import Any

from django.conf import settings
from servestatic.compress import Compressor
from servestatic.storage import CompressedManifestStaticFilesStorage

# The others are many, are asked for rarely, and would take five seconds of the first start.
LOADED = ("console.", "css/", "js/", "django_htmx/htmx-2.min.")


class PagesCompressor(Compressor):  # type: ignore[misc]
    """Compresses with brotli only what LOADED names, and everything with gzip."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "use_brotli": False})
        self._of_pages = Compressor(**given)

    def compress(self, path: str | os.PathLike[str]) -> list[str]:
        """The files that were written beside `path`."""
        loaded = os.path.relpath(path, settings.STATIC_ROOT).startswith(LOADED)
        written: list[str] = self._of_pages.compress(path) if loaded else super().compress(path)
        return written


class PagesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Static files under names with their hash, compressed once."""

    def create_compressor(self, **given: Any) -> Compressor:
        """Called once for each collectstatic."""
        return PagesCompressor(**given)
