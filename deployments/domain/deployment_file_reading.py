"""Takes fields out of a parsed document, and notes every problem under its path instead of stopping at the first.
Pure."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from console.kit.text import one_line

MOST_PROBLEMS = 100  # more would not help
SHOWN = 60  # characters of a key that is not ours
_WORDS = {list: "a list", dict: "a mapping", bool: "true or false", int: "a number", float: "a number"}


class FileReading:
    """One pass over a document. `problems` by path; `ignored` names what was left out because of `compat`."""

    def __init__(self, *, compat: bool, foreign: Mapping[str, str]) -> None:
        self.compat = compat
        self.problems: dict[str, str] = {}
        self.ignored: list[str] = []
        self._foreign = foreign

    def problem(self, path: str, sentence: str) -> None:
        """The first sentence of each path stays."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.setdefault(path, sentence)

    def known(
        self, given: Mapping[str, object], path: str, fields: Iterable[str], *, ignored: Iterable[str] = ()
    ) -> None:
        """Every key is one of `fields`, or one that is read and ignored."""
        fields, ignored = tuple(fields), tuple(ignored)
        for raw in given:
            key = one_line(str(raw))[:SHOWN]
            where = f"{path}.{key}" if path else key
            if raw in fields or raw in ignored:
                continue
            if raw in self._foreign and self.compat:
                self.ignored.append(where)
            elif raw in self._foreign:
                self.problem(
                    where,
                    f"Airdeck has no {key}. {self._foreign[raw]} Take it out, or ignore it with --compat.",
                )
            else:
                near = get_close_matches(key.casefold(), fields, 1, 0.5)
                advice = f"Did you mean {near[0]}?" if near else f"The keys here are {', '.join(fields)}."
                self.problem(where, f"There is no key {key} here. {advice}")

    def mapping(self, given: Mapping[str, object], key: str, path: str) -> Mapping[str, object] | None:
        """A section; None when it is absent, empty, or something else, which is a problem."""
        value = given.get(key)
        if value is None:
            return None
        if isinstance(value, Mapping):
            return value
        self.problem(_join(path, key), f"Enter keys with values; this is {_word(value)}.")
        return None

    def entries(
        self, given: Mapping[str, object], key: str, path: str
    ) -> list[tuple[str, Mapping[str, object]]] | None:
        """A list of mappings, each with its path. None when the section is absent; a key without anything is an empty
        list."""
        if key not in given:
            return None
        value, where = given[key], _join(path, key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(where, f"Enter a list; this is {_word(value)}.")
            return None
        found = []
        for index, entry in enumerate(value):
            if isinstance(entry, Mapping):
                found.append((f"{where}[{index}]", entry))
            else:
                self.problem(f"{where}[{index}]", f"Enter keys with values; this is {_word(entry)}.")
        return found

    def text(self, given: Mapping[str, object], key: str, path: str) -> str | None:
        """A text; None when it is absent or null. A whole number is one as well: it has one spelling."""
        value = given.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        advice = "Put it in quotes" if isinstance(value, bool | float) else "Enter a text"
        self.problem(_join(path, key), f"{advice}: this is {_word(value)}, and a text is needed.")
        return None

    def number(self, given: Mapping[str, object], key: str, path: str) -> int | None:
        """A whole number; None when it is absent or null."""
        value = given.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.problem(_join(path, key), "Enter a whole number, without quotes.")
        return None

    def flag(self, given: Mapping[str, object], key: str, path: str) -> bool | None:
        """true or false; None when it is absent or null."""
        value = given.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.problem(_join(path, key), "Enter true or false, without quotes.")
        return None


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _word(value: object) -> str:
    return next((word for kind, word in _WORDS.items() if type(value) is kind), "a text")
