"""Reads the text of a `.env` file. Pure: it looks nothing up, in no environment and no other line.

The rules, in order:
 1. A byte order mark at the start is dropped. CR LF and CR end a line as LF does.
 2. Blank lines, and lines whose first mark is `#`, say nothing.
 3. `export` before the key is dropped. The key ends at the first `=`; blanks around it do not count.
 4. A value in double quotes ends at the next `"`, on this line or a later one; in it, \\n \\r \\t \\a \\b \\f \\v \\\\
    \\" and \\' stand for the characters they name, and any other backslash for itself.
 5. A value in single quotes likewise, but in it only \\\\ and \\' stand for something else.
 6. After the closing quote only a comment may follow.
 7. Any other value is the rest of the line without the blanks around it, and without a comment: a `#` after a blank.
    Quotes inside it, backslashes and `$` stand for themselves. Nothing is replaced by another variable.
 8. No value (`KEY=`) is an empty value. A line without `=` is refused.
 9. A quote that is never closed refuses its line, and nothing after it is read: it would be read from inside a value.
    What spans lines without such quotes is refused as one, for the same reason: a PEM block, a bracket that a later
    line closes, backquotes, three quotes, a here document, a backslash at the end of a line. One that nothing closes,
    and a backslash, are part of the value when the next line sets a variable or says nothing.
10. A key set more than once is refused altogether: which one is meant is not ours to guess.
11. Reading ends after 1,000 lines that say something: twice what a Deployment may hold.
12. Keys and values keep the rules of `deployments.variables`. A reason never quotes a value, nor a key that is none.

python-dotenv's parser reads well-formed text the same (a test holds that) and was not taken: it gives no reasons,
reads on inside an unclosed quote, and takes time quadratic in a run of blanks, which is anybody's to upload.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from deployments.domain.variables import COUNT, DotenvEntry, RejectedLine, problem_of_key, problem_of_value

MOST = 2 * COUNT
_EXPORT = re.compile(r"\Aexport\s+")
_BLANKS = re.compile(r"[^\S\n]*")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]++|\\.)*+)'", re.DOTALL),
}
_ESCAPES = {'"': re.compile(r"\\([\\'\"abfnrtv])"), "'": re.compile(r"\\([\\'])")}
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_COMMENT = re.compile(r"[^\S\n]#")
_REST = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=~-]*")
_BRACKETS = re.compile(r"[][(){}]")
_STATEMENT = re.compile(
    r"\s*(?:(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=|#|\Z)"
)  # what a line may be that ends a value
_HERE = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1\Z")
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")


@dataclass(frozen=True, repr=False)
class Parsed:
    """What a text sets, and what of it is refused, both in the order of the lines."""

    entries: tuple[DotenvEntry, ...]
    refusals: tuple[RejectedLine, ...]


class _Broken(Exception):
    """A value that cannot be read. `str()` is the reason; the scanner already stands behind it."""


class _Scanner:
    """Walks once through the text, a statement at a time."""

    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        self.at, self.line = 0, 1
        self._closing: dict[int, int] | None = None  # by the place of each bracket that is closed

    def statement(self) -> DotenvEntry | RejectedLine | None:
        """The next line or, with quotes, lines. None for one that says nothing."""
        start = self.line
        head = self.text[self.at : self._end_of_line()]
        if not head.strip() or head.lstrip().startswith("#"):
            self._skip_to(self._next_line())
            return None
        before, equals, _ = head.partition("=")
        key = _EXPORT.sub("", before.strip(), count=1) if before.strip() != "export" else "export"
        if not equals:
            self._skip_to(self._next_line())
            return RejectedLine(start, "", "This line has no “=”. Write KEY=value.")
        self.at += len(before) + 1
        try:
            value = self._value()
        except _Broken as error:
            return RejectedLine(start, "" if problem_of_key(key) else key, str(error))
        if reason := problem_of_key(key):
            return RejectedLine(start, "", reason)
        if reason := problem_of_value(value):
            return RejectedLine(start, key, reason)
        return DotenvEntry(start, key, value)

    def _value(self) -> str:
        blanks = _BLANKS.match(self.text, self.at)
        first = blanks.end() if blanks else self.at
        quote = self.text[first : first + 1]
        if quote in _QUOTED:
            if self.text.startswith(quote * 3, first):
                self._skip_block(quote * 3, first + 3, "three quotes")
            return self._quoted(first, quote)
        line = self.text[self.at : self._end_of_line()]
        if pem := _PEM.match(line.strip()):
            self._skip_pem(pem[1])
        comment = _COMMENT.search(line)
        value = (line[: comment.start()] if comment else line).strip()
        if (end := self._end_of_block(value, first, to_the_end=comment is None)) is not None:
            self._skip_to(end)
            self._skip_to(self._next_line())
            raise _Broken("This value spans several lines. Put double quotes around it.")
        self._skip_to(self._next_line())
        return value

    def _end_of_block(self, value: str, first: int, *, to_the_end: bool) -> int | None:
        """Where an unquoted value ends that goes on after its line; None for one that does not. A backslash joins
        lines only where the value reaches `to_the_end` of its line."""
        after = self._next_line()
        if after >= len(self.text):
            return None
        if value[:1] == "`" and "`" not in value[1:]:
            return max(self.text.find("`", after), self._before_next(after))
        if here := _HERE.match(value):
            label = re.compile(rf"^\s*{here[2]}\s*$", re.MULTILINE).search(self.text, after)
            return label.start() if label else len(self.text)
        if value.endswith("\\") and to_the_end:
            joined = value[-2:-1].isspace() or value == "\\"
            return self._end_of_joined(after) if joined or not self._is_statement(after) else None
        for bracket in _BRACKETS.finditer(self.text, first, first + len(value)):
            if bracket[0] in "[({" and (close := self._closings().get(bracket.start(), -1)) >= after:
                return close
            if bracket[0] in "[({" and close < 0 and not self._is_statement(after):
                return self._before_next(after)
        return None

    def _end_of_joined(self, place: int) -> int:
        """The last of the lines that a backslash joins."""
        end = self._end_of_line(place)
        while end < len(self.text) and self.text[place:end].endswith("\\"):
            place = end + 1
            end = self._end_of_line(place)
        return place

    def _is_statement(self, place: int) -> bool:
        return _STATEMENT.match(self.text[place : self._end_of_line(place)]) is not None

    def _before_next(self, place: int) -> int:
        """The last line from here on before one that sets a variable or says nothing."""
        last = place
        while place < len(self.text) and not self._is_statement(place):
            last, place = place, self._end_of_line(place) + 1
        return last

    def _closings(self) -> dict[int, int]:
        """Where each bracket is closed. Found once for the whole text: a look ahead from every line would take time
        quadratic in them."""
        if self._closing is None:
            self._closing, opened = {}, list[int]()
            for bracket in _BRACKETS.finditer(self.text):
                if bracket[0] in "[({":
                    opened.append(bracket.start())
                elif opened:
                    self._closing[opened.pop()] = bracket.start()
        return self._closing

    def _skip_block(self, end: str, place: int, what: str) -> None:
        """Refuse a block between marks that are none of ours; without its end, all the rest."""
        found = self.text.find(end, place)
        self._skip_to(len(self.text) if found < 0 else found)
        self._skip_to(self._next_line())
        raise _Broken(f"This value stands between {what}. Put one double quote at each end of it.")

    def _quoted(self, first: int, quote: str) -> str:
        found = _QUOTED[quote].match(self.text, first)
        if found is None:
            self._skip_to(len(self.text))
            raise _Broken(f"The quote ({quote}) that begins here is never closed. Nothing after it was read.")
        self._skip_to(found.end())
        if not (rest := _REST.match(self.text, self.at)):
            self._skip_to(self._next_line())
            raise _Broken(
                "There is text after the closing quote. Put a backslash before a quote inside a value."
            )
        self._skip_to(rest.end())
        return _ESCAPES[quote].sub(lambda each: _NAMED.get(each[1], each[1]), found[1])

    def _skip_pem(self, label: str) -> None:
        """Refuse an unquoted block that spans lines; one on a single line is a value like any other."""
        end = f"-----END {label}-----"
        if end in self.text[self.at : self._end_of_line()]:
            return
        place = self.text.find(end, self.at)
        self._skip_to(len(self.text) if place < 0 else place)
        self._skip_to(self._next_line())
        raise _Broken("This key or certificate spans several lines. Put double quotes around it.")

    def _end_of_line(self, place: int | None = None) -> int:
        end = self.text.find("\n", self.at if place is None else place)
        return len(self.text) if end < 0 else end

    def _next_line(self) -> int:
        return min(self._end_of_line() + 1, len(self.text))

    def _skip_to(self, place: int) -> None:
        self.line += self.text.count("\n", self.at, place)
        self.at = place


def parse(text: str) -> Parsed:
    """The variables that `text` sets, and a refusal with its reason for each line that is not taken."""
    scanner = _Scanner(text)
    entries: dict[str, list[DotenvEntry]] = defaultdict(list)
    refusals: list[RejectedLine] = []
    message = 0
    while scanner.at < len(scanner.text):
        line = scanner.line
        found = scanner.statement()
        message += found is not None
        if message > MOST:
            reason = f"The text has more than {MOST:,} variables. Nothing from here on was read."
            refusals.append(RejectedLine(line, "", reason))
            break
        if isinstance(found, DotenvEntry):
            entries[found.key].append(found)
        elif found is not None:
            refusals.append(found)
    for key, several in entries.items():
        if len(several) > 1:
            lines = " and ".join(str(each.line) for each in several[:5])
            refusals.append(
                RejectedLine(several[0].line, key, f"{key} is set on lines {lines}. Keep one of them.")
            )
    return Parsed(
        tuple(several[0] for several in entries.values() if len(several) == 1),
        tuple(sorted(refusals, key=lambda each: each.line)),
    )


def write(values: Mapping[str, str | None]) -> str:
    """A `.env` that `parse` reads back as these values. None is a secret: it is named, and has no value."""
    lines = []
    for key, value in sorted(values.items()):
        if value is None:
            lines.append(f"# {key} is secret. Its value is not in this file.")
        elif _SAFE.fullmatch(value):
            lines.append(f"{key}={value}")
        else:
            text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r")
            lines.append(f'{key}="{text}"')
    return "".join(f"{line}\n" for line in lines)
