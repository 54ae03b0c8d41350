"""One rule for names of Deployments, Workspaces and people."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.kit.names import clean, key, same, seems_to_lead_somewhere

ALONE = ["", " ", "\u00a0", "\u3164", "\u2800", "\uffa0", "\u115f\u1160", "\u0301", "\u2003\u2800"]
UNSEEN = [
    "\u200b",
    "\u200c",
    "\u200d",
    "\ufeff",
    "\u2060",
    "\u00ad",
    "\u202e",
    "\u200f",
    "\u061c",
    "\U000e0041",
]
UNSEEN += [
    "\n",
    "\r",
    "\t",
    "\x00",
    "\x07",
    "\x85",
    "\u2028",
    "\u034f",
    "\ue000",
    "\u17b5",
    "\u180e",
]


@pytest.mark.parametrize("text", ALONE)
def test_a_name_needs_something_to_see(text):
    with pytest.raises(ValueError, match="Enter a name"):
        clean(text, longest=64)


@pytest.mark.parametrize("mark", UNSEEN)
def test_what_cannot_be_seen_is_refused(mark):
    for text in (f"a{mark}b", f"a {mark}b"):
        with pytest.raises(ValueError, match="without line breaks or invisible characters"):
            clean(text, longest=64)


def test_how_a_character_is_drawn_is_said_after_it_only():
    for text in ("\ufe0fa", "a \ufe0f"):
        with pytest.raises(ValueError, match="invisible"):
            clean(text, longest=64)


@pytest.mark.parametrize(
    "name",
    [
        "می\u200cخواهم",  # Persian: "I want"
        "क्\u200dष",
        "👩\u200d🚀 crew",
        "👩🏽\u200d🚀",
        "❤\ufe0f on ❤\ufe0f",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "🇩🇪",
        "O'Brien & Söhne (№ 5)",
        "日本",
        "—",
        "ёлка",
        "葛\U000e0100城",
    ],
)
def test_every_script_and_emoji_are_allowed(name):
    assert clean(f" {name}\u3000", longest=64) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("a  b", "a b"),
        ("a\u00a0b", "a b"),
        ("a \u2003\u2800 b", "a b"),
        ("Cafe\u0301", "Café"),
        ("\u3000x\u00a0", "x"),
    ],
)
def test_blanks_and_letters_have_one_form(typed, stored):
    assert clean(typed, longest=64) == stored
    assert same(stored, typed)
    assert same(typed, stored)
    assert key(typed) == key(stored)


def test_the_length_is_that_of_what_is_stored():
    assert clean("e\u0301" * 50, longest=50) == "é" * 50
    with pytest.raises(ValueError, match="at most 50 characters; this one has 51"):
        clean("x" * 51, longest=50)


@given(st.text(max_size=40))
@example("a\u2800\u0301b")
@example("\ufb2c \u1e9b\u0323")
def test_what_is_stored_is_stored_again_as_it_is_and_typing_what_is_shown_confirms_it(text):
    try:
        name = clean(text, longest=64)
    except ValueError:
        return
    assert clean(name, longest=64) == name
    assert same(name, name)
    assert same(" ".join(name.split(" ")), name)
    assert "\n" not in name
    assert key(name)


@pytest.mark.parametrize(("one", "other"), [("Ops", "ops"), ("a", "b"), ("ab", "a b")])
def test_another_name_is_no_confirmation(one, other):
    assert not same(one, other)


@pytest.mark.parametrize(
    ("name", "leads"),
    [
        ("Billing http://evil.example/login", True),
        ("Your invoice is due: pay.evil.example", True),
        ("www evil", True),
        ("mail me@evil", True),
        ("evil．example", True),
        ("tel:123", True),
        ("Acme Data", False),
        ("Dr. Ada", False),
        ("Team: East", False),
        ("O'Brien & Söhne", False),
    ],
)
def test_what_a_mail_program_would_make_a_link_of_is_told(name, leads):
    assert seems_to_lead_somewhere(name) is leads
