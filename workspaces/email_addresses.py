"""How email addresses are stored and compared. Pure: no Django, no I/O."""

import unicodedata
from contextlib import suppress

import idna

from console.kit.names import JOINERS


def normalize_email(address: str) -> str:
    """The identity of an address: NFKC, without what cannot be seen, case folded; an international domain in the form
    that mail servers use (xn--…). Look-alikes of other scripts stay apart."""
    local, at, domain = unicodedata.normalize("NFKC", address).strip().rpartition("@")
    return f"{_seen(local).strip().casefold()}{at}{_domain(_seen(domain, but=JOINERS).strip())}"


def _seen(text: str, but: str = "") -> str:
    return "".join(each for each in text if each in but or unicodedata.category(each) not in {"Cf", "Cc"})


def _domain(name: str) -> str:
    """Joiners are letters of some domains; where they are none they were pasted along."""
    for spelling in (name, _seen(name)):
        if spelling.isascii():
            return spelling.lower()
        with suppress(idna.IDNAError):
            return idna.encode(spelling, uts46=True).decode()
    return name.casefold()
