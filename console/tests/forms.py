"""Forms as a browser would send them: every field with the value that the page shows."""

import re
from html.parser import HTMLParser


class _Forms(HTMLParser):
    """Collects, per form with method post, its action and fields."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._inside = False
        self._select = self._area = ""

    def handle_starttag(self, tag, attrs) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = (given.get("method") or "").lower() == "post"
            if self._inside:
                self.found.append((given.get("action") or "", {}))
        elif self._inside:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str | None]) -> None:
        fields, name, value = self.found[-1][1], given.get("name") or "", given.get("value") or ""
        if tag == "input" and name:
            if given.get("type") not in {"radio", "checkbox"} or "checked" in given:
                fields[name] = value
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or self._select not in fields):
            fields[self._select] = value  # the selected one, else the first
        elif tag == "textarea":
            self._area = name
            fields[name] = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[-1][1][self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            fields = self.found[-1][1]
            fields[self._area] = re.sub(
                r"^\r?\n", "", fields[self._area]
            )  # the first line end is not part of it
        if tag == "form":
            self._inside = False
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""


def posted_forms(html: str) -> list[tuple[str, dict[str, str]]]:
    """(action, fields) of every form that is posted, in the order of the page; CSRF token included."""
    parser = _Forms()
    parser.feed(html)
    return [
        (action, {name: re.sub(r"\r\n|\r|\n", "\r\n", value) for name, value in fields.items()})
        for action, fields in parser.found
    ]
