"""One style sheet and one script for every page, made of the sources in static/: a page asks for few files, and the
sources stay small. Found like any other static file: by collectstatic, which gives it a hashed name and compresses
it, and by the test server."""

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage
from rjsmin import jsmin

# The order of the parts is that of the cascade, and of the scripts.
LAYERS = (
    *("layers", "reset", "tokens", "base", "layout", "actions", "forms", "data", "feedback"),
    *("variables", "overlays", "pages", "utilities", "print"),
)
BUNDLES = {
    "console.css": [f"css/{name}.css" for name in LAYERS],
    "console.js": ["django_htmx/ext/hx-sse-2.min.js", "js/stream.js", "js/morph.js", "js/app.js"],
}
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)  # no string of ours holds such a mark
BLANK = re.compile(r"\s*([{};,])\s*|(?<=:)[ ]+")  # around the marks of CSS


def bundle(name: str) -> str:
    """The text of a bundle: its parts in order, without indentation and comments."""
    text = "\n".join(Path(finders.find(part) or part).read_text() for part in BUNDLES[name])
    if name.endswith(".js"):
        return str(jsmin(text)) + "\n"
    text = BLANK.sub(lambda found: found[1] or "", COMMENT.sub("", text))
    lines = (each.strip() for each in text.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


class BundleFinder(BaseFinder):
    """Finds the bundles, written again into a folder of this process each time that one is asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folder = Path(tempfile.mkdtemp(prefix="airdeck-static-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self.storage = FileSystemStorage(location=self._folder)

    def check(self, **kwargs: Any) -> list[Any]:
        """No checks: there is nothing to set."""
        return []

    def _write(self, name: str) -> str:
        path = self._folder / name
        text = bundle(name)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return str(path)

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """The file of a bundle; nothing for any other path."""
        if path not in BUNDLES:
            return []
        written = self._write(path)
        return [written] if find_all else written

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        """Every bundle, for collectstatic."""
        for name in BUNDLES:
            self._write(name)
            yield name, self.storage
