"""Whom an Airflow believes, and for how long: without any Airflow. With one: `sign_in_story.py`."""

import time

import jwt
import pytest

from deployments.dataplane import airflow_sign_in as rules
from deployments.dataplane.airflow_sign_in import People, Refused, local_path, read_assertion
from deployments.secrets import assertions

RELEASE = "calm-orbit-0012"
PRIVATE = assertions.new_key()
KEY = rules.public_key(assertions.public_half(PRIVATE))
STATE = "s" * 43
NOW = 1_800_000_000.0


def assertion(**changes: object) -> str:
    given = {"release": RELEASE, "user_id": "7", "email": "vera@example.org", "role": "VIEWER"}
    given |= {"state": rules.digest(STATE), "to": "/dags", "now": NOW, **changes}
    return assertions.sign_in(str(given.pop("key", PRIVATE)), **given)


def test_an_assertion_says_who_comes_in():
    found = read_assertion(assertion(), KEY, RELEASE, STATE, NOW)
    assert (found.user_id, found.email, found.role, found.since, found.next) == (
        "7",
        "vera@example.org",
        "VIEWER",
        NOW,
        "/dags",
    )
    assert len(found.number) == 32


@pytest.mark.parametrize("seconds", [-59, -50, 0, 50, 60, 110, 119])
def test_clocks_may_differ_by_a_minute(seconds):
    assert read_assertion(assertion(), KEY, RELEASE, STATE, NOW + seconds).user_id == "7"


@pytest.mark.parametrize("seconds", [-3600, -61, 121, 3600])
def test_and_by_no_more(seconds):
    with pytest.raises(Refused, match="too old, or the clocks"):
        read_assertion(assertion(), KEY, RELEASE, STATE, NOW + seconds)


def unsigned() -> str:
    head, body, _ = assertion().split(".")
    return f"{head}.{body}."


def by_the_public_half() -> str:
    """The old confusion: the public key taken for the secret of a symmetric signature."""
    claims = jwt.decode(assertion(), options={"verify_signature": False})
    return jwt.encode(claims, assertions.public_half(PRIVATE), algorithm="HS256")


def as_none() -> str:
    claims = jwt.decode(assertion(), options={"verify_signature": False})
    return jwt.encode(claims, None, algorithm="none")


def of(**claims: object) -> str:
    """The claims changed by whoever holds the key; None leaves one out."""
    found = jwt.decode(assertion(), options={"verify_signature": False}) | claims
    kept = {name: value for name, value in found.items() if value is not None}
    return jwt.encode(kept, assertions._private(PRIVATE), algorithm="EdDSA")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "a.b.c",
        assertion(key=assertions.new_key()),
        assertion(release="calm-orbit-0013"),
        assertions.people(PRIVATE, release=RELEASE, people={"7": ("ADMIN", 0.0)}, now=NOW),
        unsigned(),
        by_the_public_half(),
        as_none(),
        of(aud="apache-airflow"),
        of(aud=None),
        of(sub=None),
        of(exp=None),
        of(exp="soon"),
        of(iat=None),
        of(jti=None),
        of(state=None),
        of(next=None, role=None),
    ],
)
def test_what_is_not_signed_for_this_airflow_and_this_purpose_counts_for_nothing(text):
    with pytest.raises(Refused, match="not one of Airdeck's for this Airflow"):
        read_assertion(text, KEY, RELEASE, STATE, NOW)


@pytest.mark.parametrize("state", ["", "t" * 43, rules.digest(STATE)])
def test_it_counts_in_the_browser_that_asked_alone(state):
    with pytest.raises(Refused, match="not begun in this browser"):
        read_assertion(assertion(), KEY, RELEASE, state, NOW)


def test_a_role_that_airflow_does_not_have_is_refused():
    with pytest.raises(Refused, match="role that this Airflow does not know"):
        read_assertion(assertion(role="OWNER"), KEY, RELEASE, STATE, NOW)


OWN = ("http://calm-orbit-0012.localhost:8000",)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/", "/"),
        ("/dags/proof/runs?state=failed&x=%2F", "/dags/proof/runs?state=failed&x=%2F"),
        ("http://calm-orbit-0012.localhost:8000/dags?a=b", "/dags?a=b"),
        ("http://calm-orbit-0012.localhost:8000", "/"),
        ("http://calm-orbit-0012.localhost:8000.evil.example/dags", "/"),
        ("http://calm-orbit-0012.localhost:8000@evil.example/dags", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("///evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/dags//evil", "/"),
        ("javascript:alert(1)", "/"),
        ("data:text/html,x", "/"),
        ("dags", "/"),
        ("", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("/a b", "/"),
        ('/"><script>', "/"),
        ("/ü", "/"),
        ("/auth/logout", "/"),
        ("/" + "a" * 2000, "/"),
    ],
)
def test_only_paths_of_this_airflow_are_shown_afterwards(given, path):
    assert local_path(given, OWN) == path


def written(tmp_path, people: dict[str, tuple[str, float]], now: float, key: str = PRIVATE) -> People:
    file = tmp_path / "people"
    file.write_text(assertions.people(key, release=RELEASE, people=people, now=now))
    return People(file, KEY, RELEASE)


def test_the_present_role_counts_not_that_of_the_token(tmp_path):
    people = written(tmp_path, {"7": ("OP", 0.0)}, NOW)
    assert people.role("7", "VIEWER", NOW - 60) == "OP"
    assert people.role("7", "ADMIN", NOW - 60) == "OP"


def test_of_whoever_came_later_the_list_knows_nothing_yet(tmp_path):
    people = written(tmp_path, {}, NOW)
    assert people.role("7", "VIEWER", NOW + 1) == "VIEWER"
    with pytest.raises(Refused, match="permission to open this Airflow any more"):
        people.role("7", "VIEWER", NOW)


def test_a_session_from_before_a_sign_out_is_over(tmp_path):
    people = written(tmp_path, {"7": ("OP", NOW - 100)}, NOW)
    assert people.role("7", "OP", NOW - 100) == "OP"
    with pytest.raises(Refused, match="session was ended"):
        people.role("7", "OP", NOW - 101)


@pytest.mark.parametrize("text", ["", "nonsense", assertion()])
def test_by_a_list_that_cannot_be_read_nobody_comes_in(tmp_path, text):
    file = tmp_path / "people"
    people = People(file, KEY, RELEASE)
    for make in (lambda: None, lambda: file.write_text(text), file.unlink):
        make()
        with pytest.raises(Refused, match="has not written down yet"):
            people.role("7", "ADMIN", NOW + 10**6)


def test_another_s_list_counts_for_nothing(tmp_path):
    with pytest.raises(Refused, match="has not written down yet"):
        written(tmp_path, {"7": ("ADMIN", 0.0)}, NOW, key=assertions.new_key()).role("7", "OP", NOW)
    file = tmp_path / "people"
    file.write_text(
        assertions.people(PRIVATE, release="calm-orbit-0013", people={"7": ("ADMIN", 0.0)}, now=NOW)
    )
    with pytest.raises(Refused, match="has not written down yet"):
        People(file, KEY, RELEASE).role("7", "OP", NOW)


def test_an_older_list_brought_back_counts_for_nothing(tmp_path):
    people = written(tmp_path, {"7": ("ADMIN", 0.0)}, NOW)
    assert people.role("7", "ADMIN", NOW - 60) == "ADMIN"
    written(tmp_path, {}, NOW + 10)
    with pytest.raises(Refused, match="any more"):
        people.role("7", "ADMIN", NOW - 60)
    written(tmp_path, {"7": ("ADMIN", 0.0)}, NOW)
    with pytest.raises(Refused, match="any more"):
        people.role("7", "ADMIN", NOW - 60)
    written(tmp_path, {"7": ("VIEWER", 0.0)}, NOW + 20)
    assert people.role("7", "ADMIN", NOW - 60) == "VIEWER"


def test_a_list_that_stays_the_same_is_read_once(tmp_path, monkeypatch):
    people = written(tmp_path, {"7": ("OP", 0.0)}, NOW)
    assert people.role("7", "OP", NOW) == "OP"
    monkeypatch.setattr(rules, "signed", lambda *_: pytest.fail("read again"))
    assert people.role("7", "OP", NOW) == "OP"


def test_a_look_at_the_list_costs_next_to_nothing(tmp_path):
    people = written(tmp_path, {str(number): ("OP", 0.0) for number in range(500)}, NOW)
    people.role("7", "OP", NOW)
    began = time.process_time()
    for _ in range(1000):
        people.role("7", "OP", NOW)
    assert time.process_time() - began < 0.1  # a hundred millionths of a second each


@pytest.mark.parametrize(
    ("since", "seconds"),
    [(NOW, 3600), (NOW - 11.5 * 3600, 1800), (NOW - 12 * 3600, 0), (NOW - 20 * 3600, 0)],
)
def test_a_session_lasts_for_twelve_hours_in_all(since, seconds):
    assert rules.lifetime(since, NOW) == seconds


def test_a_page_shows_text_as_text():
    text = rules.page("<b>", "<script>alert(1)</script>", (('/"x', "<i>"),))
    assert "<script>" not in text
    assert "<b>" not in text
    assert '"/&quot;x"' in text


@pytest.mark.parametrize("text", ["", "short", "%%%", "A" * 44])
def test_a_key_that_is_none_is_told_at_the_start(text):
    with pytest.raises(ValueError, match=r".+"):
        rules.public_key(text)


def test_a_token_for_scripts_is_airflow_s_own_kind():
    token = assertions.airflow_token(
        "s" * 64, user_id="7", email="vera@example.org", role="VIEWER", now=time.time(), seconds=900
    )
    claims = jwt.decode(token, "s" * 64, algorithms=["HS512"], audience="apache-airflow")
    assert (claims["kind"], claims["role"], claims["sub"]) == ("script", "VIEWER", "7")
    assert rules.least("ADMIN", "OP") == rules.least("OP", "ADMIN") == "OP"
    assert 890 < claims["exp"] - time.time() <= 900
    assert claims["nbf"] <= time.time() - 59
