"""Browsers in words."""

import pytest

from console.kit.user_agents import in_words

X11 = "Mozilla/5.0 (X11; Linux x86_64"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)"
CASES = {
    f"{X11}; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Linux",
    f"{X11}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36": "Chrome on Linux",
    f"{WINDOWS} AppleWebKit/537.36 Chrome/156.0 Safari/537.36 Edg/156.0": "Edge on Windows",
    f"{IPHONE} Version/19.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
    "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/156.0 Mobile Safari/537.36": "Chrome on Android",
    "curl/8.10": "curl/8.10",
    "": "Unknown",
}


@pytest.mark.parametrize(("user_agent", "words"), CASES.items())
def test_a_browser_is_named_as_a_person_names_it(user_agent, words):
    assert in_words(user_agent) == words
