"""Rules that every rendered page keeps, checked over its HTML without a browser."""

from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"input", "meta", "link", "br", "hr", "img", "wbr", "path", "circle", "rect", "line"}
CONTROLS = {"input", "select", "textarea"}
SPOKEN = {"status", "alert", "log"}


class _Page(HTMLParser):
    """Collects what the rules ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text_of: list[tuple[str, dict[str, str | None], str]] = []
        self.spoken_clocks = 0
        self.error_links: list[str] = []
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        if tag == "title" and any(name == "svg" for name, _, _ in self._open):
            tag = "svg:title"  # of a drawing, not of the page
        self.tags.append((tag, dict(attrs)))
        if "data-since" in dict(attrs) and any(_is_spoken(each) for _, each, _ in self._open):
            self.spoken_clocks += 1
        if tag == "a" and any(each.get("id") == "errors" for _, each, _ in self._open):
            self.error_links.append((dict(attrs)["href"] or "").removeprefix("#"))
        if tag not in VOID:
            self._open.append((tag, dict(attrs), []))

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        for _, _, text in self._open:
            text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if tag == "title" and any(name == "svg:title" for name, _, _ in self._open):
            tag = "svg:title"
        while self._open:
            name, attrs, text = self._open.pop()
            self.text_of.append((name, attrs, " ".join("".join(text).split())))
            if name == tag:
                return


def _is_spoken(attrs: dict[str, str | None]) -> bool:
    return attrs.get("aria-live") in {"polite", "assertive"} or attrs.get("role") in SPOKEN


def words_in(html: str, attribute: str, value: str | None = None) -> str:
    """The words in the element with this attribute, of this value when one is given; "" when there is none."""
    page = _Page()
    page.feed(html)
    found = (
        text for _, attrs, text in page.text_of if attribute in attrs and value in {None, attrs[attribute]}
    )
    return next(found, "")


def complaints(html: str) -> list[str]:
    """What is wrong with a whole page; empty when nothing is."""
    page = _Page()
    page.feed(html)
    return [
        *_attributes(page),
        *_structure(page),
        *_labels(page),
        *["a clock that ticks is read out every second"] * bool(page.spoken_clocks),
        *(f"id {name!r} is used {n} times" for name, n in _ids(page).items() if n > 1),
    ]


def _ids(page: _Page) -> Counter[str]:
    return Counter(attrs["id"] for _, attrs in page.tags if attrs.get("id"))


def _attributes(page: _Page) -> list[str]:
    found = []
    for tag, attrs in page.tags:
        found += [
            f"<{tag}> has {name}=" for name in attrs if name == "style" or name.startswith(("on", "hx-on"))
        ]
        if tag == "svg" and attrs.get("aria-hidden") != "true":
            found.append("an <svg> is not hidden from screen readers")
        if tag == "script" and not attrs.get("src") and attrs.get("type") != "application/json":  # data
            found.append("a <script> is inline")
        if tag == "style":
            found.append("a <style> is inline")
        if int(attrs.get("tabindex") or 0) > 0:
            found.append(f"<{tag}> has a positive tabindex")
        if tag == "meta" and "user-scalable" in (attrs.get("content") or ""):
            found.append("the page cannot be zoomed")
    return found


def _structure(page: _Page) -> list[str]:
    count = Counter(tag for tag, _ in page.tags)
    found = [f"{count[tag]} <{tag}> in place of one" for tag in ("h1", "main", "title") if count[tag] != 1]
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4", "h5", "h6"}]
    found += [f"h{b} follows h{a}" for a, b in pairwise(levels) if b > a + 1]
    if not dict(page.tags[0][1]).get("lang"):
        found.append("<html> has no lang")
    navs = [
        attrs.get("aria-label") or attrs.get("aria-labelledby") for tag, attrs in page.tags if tag == "nav"
    ]
    if not all(navs):
        found.append("a <nav> has no label")
    if count["table"] != count["caption"]:
        found.append("a table has no caption")
    found += ["a <th> has no scope" for tag, attrs in page.tags if tag == "th" and not attrs.get("scope")]
    return found


def _labels(page: _Page) -> list[str]:
    ids = _ids(page)
    labelled = {attrs.get("for") for tag, attrs in page.tags if tag == "label"}
    found = []
    for tag, attrs in page.tags:
        control = tag in CONTROLS and attrs.get("type") not in {"hidden", "submit"}
        if control and attrs.get("id") not in labelled and not attrs.get("aria-label"):
            found.append(f"<{tag} name={attrs.get('name')}> has no label")
        for name in ("aria-describedby", "aria-labelledby", "for"):
            missing = [each for each in (attrs.get(name) or "").split() if each not in ids]
            found += [f"{name} names {each!r}, which is not there" for each in missing]
    controls = {attrs.get("id") for tag, attrs in page.tags if tag in CONTROLS}
    found += [
        f"an error leads to {each!r}, which is no control"
        for each in page.error_links
        if each not in controls
    ]
    for tag, attrs, text in page.text_of:
        if tag in {"a", "button"} and not text and not attrs.get("aria-label"):
            found.append(f"<{tag} {attrs}> has no words")
    return found
