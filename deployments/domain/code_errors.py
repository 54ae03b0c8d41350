"""The sentence shown when code is not taken. No other module words a limit."""

MIB = 1024 * 1024
SHOWN_NAME = 200  # characters of an entry's name in a sentence


class CodeRefused(Exception):
    """Code that is not taken. `str()` is one sentence that names the entry and says what to do."""


def shown(name: str) -> str:
    """An entry's name as a sentence can hold it: control characters escaped, cut to SHOWN_NAME characters."""
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name
    )
    return text if len(text) <= SHOWN_NAME else f"{text[:SHOWN_NAME]}…"
