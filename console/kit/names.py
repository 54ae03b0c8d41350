"""Names that people give to things and to themselves: one rule for all of them, and when two are the same. Pure.

A name is one line that can be seen. Runs of blanks of any kind are one blank, letters are composed (NFC). What no one
can see is refused, but for the joiners that Persian, the scripts of India and emoji need, where they need them.
"""

import re
import unicodedata

EMPTY = "Enter a name."
UNSEEN = "Enter a name without line breaks or invisible characters."
_REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"
# Drawn as a blank, whatever their category says: the fillers of Hangul, the empty cell of Braille.
_DRAWN_BLANK = str.maketrans(dict.fromkeys("\u115f\u1160\u3164\uffa0\u2800", " "))
# Marks that change nothing on the screen by themselves (Default_Ignorable_Code_Point) and are no format characters.
_IGNORED = re.compile("[\u034f\u17b4\u17b5\u180b-\u180d\u180f]")
_BLANKS = re.compile(r"[^\S\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_VARIANT = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # how the character before is drawn
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f")  # of a region, as Scotland's
_LINK = re.compile(r"@|//|\\\\|\w\.\w|\bwww\b|\w:\S", re.IGNORECASE)


def clean(text: str, *, longest: int) -> str:
    """The name as it is stored, of at most `longest` characters. Raises ValueError with the sentence for the field."""
    name = unicodedata.normalize("NFC", _blanks(text))
    if not name:
        raise ValueError(EMPTY)
    if _hides_something(_FLAG.sub("\U0001f3f4", name)) or not any(_is_seen(each) for each in name):
        raise ValueError(UNSEEN)
    if len(name) > longest:
        raise ValueError(f"Enter a name of at most {longest} characters; this one has {len(name)}.")
    return name


def key(name: str) -> str:
    """Two names with one key are the same name to a person: compatibility forms, case, runs of blanks and joiners
    aside."""
    plain = unicodedata.normalize("NFKC", name.translate(_DRAWN_BLANK)).casefold()
    return " ".join("".join(each for each in plain if each not in JOINERS).split())


def same(typed: str, shown: str) -> bool:
    """Whether a person typed what a page shows: blanks and the composition of letters aside, case included."""
    one, other = (unicodedata.normalize("NFC", _blanks(each)) for each in (typed, shown))
    return one == other


def seems_to_lead_somewhere(name: str) -> bool:
    """Whether a mail program may make a link of it: a web or mail address, or what looks like one."""
    return _LINK.search(unicodedata.normalize("NFKC", name)) is not None


def _blanks(text: str) -> str:
    """With one blank for each run of them, and none at the ends. Line breaks inside stay, to be refused."""
    return _BLANKS.sub(" ", text.translate(_DRAWN_BLANK).strip())


def _is_seen(each: str) -> bool:
    return unicodedata.category(each)[0] in "LNPS"


def _hides_something(name: str) -> bool:
    before = ""
    for place, each in enumerate(name):
        after = name[place + 1 : place + 2]
        if each in JOINERS:
            if not (_is_joined(before) and _is_joined(after)):
                return True
        elif _VARIANT.match(each):
            if not before or before == " ":
                return True
        elif unicodedata.category(each) in _REFUSED or _IGNORED.match(each):
            return True
        before = each
    return False


def _is_joined(each: str) -> bool:
    """Whether a joiner beside this does something: no script that needs one is in ASCII."""
    return bool(each) and not each.isascii() and each not in JOINERS and unicodedata.category(each) != "Zs"
