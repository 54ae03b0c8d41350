"""The value of an API token: how it is made, recognised and kept. Pure.

`adk_<kind>_<40 random characters><6 characters of CRC-32>`, in base 62: 238 random bits. The checksum lets a program
recognize a typing error without a query. Only the SHA-256 is ever stored: at this entropy a slow hash would gain
nothing.
"""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "adk_"
SHOWN = 12  # the first characters, by which people recognise a token
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECK = 40, 6
_VALUE = re.compile(rf"adk_([a-z])_([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECK}}})")


def mint(kind: str) -> str:
    """A new value of this kind, one lower-case letter."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return f"{PREFIX}{kind}_{body}{_checksum(kind, body)}"


def is_sound(value: str) -> bool:
    """Whether it has the form of a token and its checksum is right."""
    found = _VALUE.fullmatch(value)
    return found is not None and found[3] == _checksum(found[1], found[2])


def found_in(text: str) -> list[str]:
    """Every sound token in a text, like the query of an address."""
    return [each[0] for each in _VALUE.finditer(text) if is_sound(each[0])]


def digest(value: str) -> str:
    """The SHA-256 in hex, which is all that is stored of a token."""
    return hashlib.sha256(value.encode()).hexdigest()


def _checksum(kind: str, body: str) -> str:
    number, text = zlib.crc32(f"{kind}_{body}".encode()), ""
    for _ in range(_CHECK):
        number, rest = divmod(number, 62)
        text = _ALPHABET[rest] + text
    return text
