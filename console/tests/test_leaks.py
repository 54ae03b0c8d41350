"""The search for secrets finds one in every spelling."""

import base64
import html
import json
from urllib.parse import quote_plus, urlencode

import pytest

from console.tests.leak_driving import SECRETS
from console.tests.leaks import (
    leaks,
)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "é"])
@pytest.mark.parametrize("after", ["", "z", "yz"])
def test_the_search_finds_a_secret_in_every_spelling(before, after) -> None:
    secret = SECRETS["added"]
    text = f"{before}{secret}{after}"
    for reported in (
        html.escape(f"<{text}>"),
        json.dumps([f"\n{text}\"'"]),
        quote_plus(f"& {text}"),
        urlencode({"a": text}),
        repr(text.encode()),
        base64.b64encode(text.encode()).decode(),
        base64.urlsafe_b64encode(text.encode()).decode(),
        text.encode().hex(),
    ):
        assert leaks(reported, SECRETS) == ["added"]
    assert leaks("canary", SECRETS) == []
