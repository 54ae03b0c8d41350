"""Three people of three roles at a real Airflow, and everybody who must not come in. For a Deployment that runs
already: starting one takes half a minute."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt

from deployments.dataplane.airflow_sign_in import digest
from deployments.secrets import assertions
from deployments.tests.dataplane.contract import SIGN_IN_KEY, Case, Harness

PEOPLE = {"v": "VIEWER", "o": "OP", "a": "ADMIN"}
OTHER_KEY = assertions.new_key()
# What Airflow's API and pages answer: method, path, body, then a Member, an Editor and an Admin of the Workspace.
# 404 and 422 mean that they may, and that there is no such thing.
ALLOWED = (
    ("GET", "/", None, 200, 200, 200),
    ("GET", "/ui/config", None, 200, 200, 200),
    ("GET", "/ui/auth/menus", None, 200, 200, 200),
    ("GET", "/api/v2/dags", None, 200, 200, 200),
    ("GET", "/api/v2/importErrors", None, 200, 200, 200),
    ("GET", "/api/v2/eventLogs", None, 200, 200, 200),
    ("GET", "/api/v2/assets", None, 200, 200, 200),
    ("GET", "/api/v2/jobs", None, 200, 200, 200),
    ("GET", "/api/v2/plugins", None, 200, 200, 200),
    ("GET", "/api/v2/pools", None, 200, 200, 200),
    ("GET", "/api/v2/dags/nothing", None, 404, 404, 404),
    ("PATCH", "/api/v2/dags/nothing", {"is_paused": False}, 403, 404, 404),
    ("DELETE", "/api/v2/dags/nothing", None, 403, 404, 404),
    ("POST", "/api/v2/dags/nothing/dagRuns", {"logical_date": None}, 403, 404, 404),
    ("POST", "/api/v2/dags/nothing/clearTaskInstances", {}, 403, 404, 404),
    ("POST", "/api/v2/assets/events", {"asset_id": 4242}, 403, 404, 404),
    ("GET", "/api/v2/connections", None, 403, 200, 200),
    ("GET", "/api/v2/connections/nothing", None, 403, 404, 404),
    ("POST", "/api/v2/connections", {"connection_id": "{who}", "conn_type": "http"}, 403, 201, 201),
    ("DELETE", "/api/v2/connections/nothing", None, 403, 404, 404),
    ("GET", "/api/v2/variables", None, 403, 200, 200),
    ("POST", "/api/v2/variables", {"key": "{who}", "value": "1"}, 403, 201, 201),
    ("DELETE", "/api/v2/variables/nothing", None, 403, 404, 404),
    ("POST", "/api/v2/pools", {"name": "{who}", "slots": 1}, 403, 201, 201),
    ("DELETE", "/api/v2/pools/nothing", None, 403, 404, 404),
    ("GET", "/ui/dags", None, 200, 200, 200),
    ("GET", "/api/v2/dagSources/nothing", None, 404, 404, 404),
    ("GET", "/api/v2/dagTags", None, 200, 200, 200),
    ("GET", "/api/v2/dagStats", None, 200, 200, 200),
    ("GET", "/api/v2/dagWarnings", None, 200, 200, 200),
    ("GET", "/api/v2/providers", None, 200, 200, 200),
    ("GET", "/api/v2/dags/nothing/dagRuns/nothing", None, 404, 404, 404),
    ("GET", "/api/v2/dags/nothing/dagRuns/nothing/taskInstances/nothing/logs/1", None, 404, 404, 404),
    ("PATCH", "/api/v2/dags/nothing/dagRuns/nothing", {"state": "failed"}, 403, 404, 404),
    ("DELETE", "/api/v2/dags/nothing/dagRuns/nothing", None, 403, 404, 404),
    ("POST", "/api/v2/dags/nothing/dagRuns/nothing/clear", {"dry_run": True}, 403, 404, 404),
    ("PATCH", "/api/v2/pools/nothing", {"pool": "nothing", "slots": 2}, 403, 404, 404),
    ("PATCH", "/api/v2/variables/nothing", {"key": "nothing", "value": "2"}, 403, 404, 404),
    (
        "PATCH",
        "/api/v2/connections/nothing",
        {"connection_id": "nothing", "conn_type": "http"},
        403,
        404,
        404,
    ),
    ("POST", "/api/v2/connections/test", {"connection_id": "nothing", "conn_type": "http"}, 403, 403, 403),
    ("GET", "/api/v2/config", None, 403, 403, 403),
    ("POST", "/api/v2/backfills", {}, 403, 422, 422),
)


class Browser:
    """Somebody's browser at the Airflow of `case`. `now` is the console's clock."""

    def __init__(self, case: Case, port: int, *, scheme: str = "http") -> None:
        self.case, self.release = case, case.ref.release_name
        self.host = f"{self.release}.localhost:8000"
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"host": self.host, "x-forwarded-proto": scheme},
            timeout=30,
            trust_env=False,
        )

    def asks(self, path: str = "/") -> str:
        """Visit without a session: the state that the console is told."""
        answer = self.http.get("/api/v2/auth/login", params={"next": path})
        answer = self.http.get(answer.headers["location"])
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        self.next = query["next"][0]
        return query["state"][0]

    def assertion(self, who: str, state: str, **changes: object) -> str:
        """What the console answers."""
        given = {
            "release": self.release,
            "user_id": who,
            "email": f"{who}@example.org",
            "role": PEOPLE[who],
            "state": state,
            "to": getattr(self, "next", "/"),
            "now": time.time(),
            **changes,
        }
        return assertions.sign_in(str(given.pop("key", SIGN_IN_KEY)), **given)

    def brings(self, assertion: str) -> httpx.Response:
        """Post it, and go where that leads, up to the answer that is no redirect of the sign-in's own."""
        answer = self.http.post("/auth/callback", data={"assertion": assertion})
        while answer.is_redirect and answer.headers["location"].startswith("/auth/callback"):
            answer = self.http.get(answer.headers["location"])
        return answer

    def comes_in(self, who: str, path: str = "/") -> httpx.Response:
        return self.brings(self.assertion(who, self.asks(path)))

    def may(self, path: str = "/api/v2/dags") -> int:
        return self.http.get(path).status_code

    def token(self) -> str:
        return self.http.cookies.get("_token") or ""


def token_of(case: Case, **claims: object) -> str:
    """A token of Airflow's own kind, as whoever knew its secret could make one."""
    now = int(time.time())
    given = {"aud": "apache-airflow", "iat": now, "nbf": now, "exp": now + 600, "jti": "a" * 32, "since": now}
    given |= {"sub": "a", "email": "a@example.org", "role": "ADMIN", "kind": "session"}
    secret = str(claims.pop("secret", case.secrets.jwt_secret))
    return jwt.encode(given | claims, secret, algorithm="HS512")


def story(harness: Harness, case: Case, port: int, logs: Path, *, password: str = "") -> None:
    """All of it, in half a minute. `password` is that of last resort, where it is kept."""

    def admit(**people: tuple[str, float]) -> None:
        listed = assertions.people(SIGN_IN_KEY, release=case.ref.release_name, people=people, now=time.time())
        assert harness.new_driver().admit(case.ref, listed)

    everybody = {who: (role, 0.0) for who, role in PEOPLE.items()}
    with _browsers(case, port) as browser:
        _nobody_comes_in_before_the_list_is_there(browser(), harness, case)
        admit(**everybody)
        v, o, a = browser(), browser(), browser()
        for one, who in ((v, "v"), (o, "o"), (a, "a")):
            answer = one.comes_in(who, f"http://{one.host}/dags?tags=x")
            assert (answer.status_code, answer.headers["location"]) == (303, "/dags?tags=x")
        _roles(v, o, a)
        _the_audit_log_names_them(a)
        _stays_outside(browser, case, password)
        _a_stale_cookie_is_in_nobody_s_way(browser, case)
        _https_and_clocks(browser)
        token = v.token()
        admit(**everybody | {"v": ("OP", 0.0), "a": ("VIEWER", 0.0)})
        assert (v.may("/api/v2/connections"), a.may("/api/v2/connections")) == (200, 403)
        admit(o=("OP", 0.0), a=("ADMIN", time.time()))
        assert [v.may(), o.may(), a.may()] == [403, 200, 403]  # removed; as before; signed out of the console
        assert _bearer(v, token) == 403
        admit(**everybody)
        assert _bearer(v, token) == 200
        _signs_out(o)
        assert "You are signed out" in o.http.get("/auth/logout").text
    text = "".join(file.read_text(errors="replace") for file in logs.glob("api-server.log"))
    assert "/auth/callback" in text
    assert re.search(r"eyJ[\w-]+\.[\w-]+\.", text) is None  # neither an assertion nor a token


@contextmanager
def _browsers(case: Case, port: int) -> Iterator[object]:
    with ExitStack() as stack:

        def make(**how: str) -> Browser:
            made = Browser(case, port, **how)
            stack.enter_context(made.http)
            return made

        yield make


def _nobody_comes_in_before_the_list_is_there(one: Browser, harness: Harness, case: Case) -> None:
    listed = assertions.people(
        OTHER_KEY, release=case.ref.release_name, people={"v": ("ADMIN", 0.0)}, now=0.0
    )
    assert harness.new_driver().admit(case.ref, listed)  # another's signature is as good as none
    answer = one.comes_in("v")
    assert (answer.status_code, one.token()) == (403, "")
    assert "has not written down yet who may open this Airflow" in answer.text


def _roles(*people: Browser) -> None:
    wrong = []
    for method, path, body, *expected in ALLOWED:
        for one, who, code in zip(people, PEOPLE, expected, strict=True):
            filled = {k: who if v == "{who}" else v for k, v in body.items()} if body is not None else None
            answer = one.http.request(method, path, json=filled)
            if answer.status_code != code:
                wrong.append(f"{method} {path} as {PEOPLE[who]}: {answer.status_code}, not {code}")
    assert wrong == []


def _the_audit_log_names_them(admin: Browser) -> None:
    events = admin.http.get("/api/v2/eventLogs?limit=100&order_by=-id").json()["event_logs"]
    by = {(event["event"], event["owner"]) for event in events}
    assert {("sign_in", f"{who}@example.org") for who in PEOPLE} <= by
    assert ("post_pool", "o@example.org") in by


def _stays_outside(browser, case: Case, password: str) -> None:
    """Each brings something that is not meant for this browser at this Airflow, and gets no cookie for it."""
    one = browser()
    state = one.asks()
    good = one.assertion("a", state)
    for brought, sentence in (
        ("", "not one of Airdeck"),
        (one.assertion("a", state, key=OTHER_KEY), "not one of Airdeck"),
        (one.assertion("a", state, release="calm-orbit-0001"), "not one of Airdeck"),
        (good[:-4] + "AAAA", "not one of Airdeck"),
        (token_of(case), "not one of Airdeck"),
        (one.assertion("a", digest("of another browser")), "not begun in this browser"),
        (one.assertion("a", state, now=time.time() - 400), "too old"),
        (one.assertion("a", state, role="OWNER"), "does not know"),
    ):
        answer = one.brings(brought)
        assert (answer.status_code, one.token()) == (403, ""), sentence
        assert sentence in answer.text
    assert one.brings(good).status_code == 303
    used = one.brings(good)
    assert used.status_code == 403
    assert "was used before" in used.text
    assert browser().brings(good).status_code == 403  # in another browser neither
    another = token_of(case, secret="x" * 64)
    for token in (
        token_of(case, aud="urn:airflow.apache.org:task"),
        token_of(case, sub="stranger", since=1.0),
        token_of(case, since=time.time() - 13 * 3600),
        token_of(case, kind="other"),
        another,
    ):
        assert _bearer(one, token) == 403
    _another_airflow_s_token(browser, another)
    _a_program_has_the_smaller_role(one, case)
    _the_password_of_last_resort(browser(), case, password)


def _another_airflow_s_token(browser, token: str) -> None:
    """It is whole, and signed with that one's secret: no cookie, header or host name makes it count here."""
    one = browser()
    names = {
        "x-forwarded-host": one.host,
        "x-forwarded-user": "a@example.org",
        "remote-user": "a@example.org",
    }
    for headers in ({}, names, {**names, "host": "calm-orbit-0001.localhost:8000"}):
        one.http.cookies.set("_token", token, domain="127.0.0.1", path="/")
        assert one.http.get("/api/v2/dags", headers=headers).status_code in {401, 403}, headers
        one.http.cookies.clear()
        bearer = {**headers, "authorization": f"Bearer {token}"}
        assert one.http.get("/api/v2/dags", headers=bearer).status_code in {401, 403}, headers
        assert one.http.get("/api/v2/dags", headers=headers).status_code == 401


def _a_program_has_the_smaller_role(one: Browser, case: Case) -> None:
    """That of the API token which asked for it, or the person's own."""
    for sub, role, code in (("a", "VIEWER", 403), ("a", "OP", 200), ("o", "ADMIN", 200), ("v", "ADMIN", 403)):
        before = time.time() - 60  # the list: of who comes after it was written, it knows nothing yet
        token = token_of(case, sub=sub, role=role, kind="program", since=before)
        found = (_bearer(one, token), _bearer(one, token, "/api/v2/connections"))
        assert found == (200, code), (sub, role)


def _the_password_of_last_resort(one: Browser, case: Case, password: str) -> None:
    """Where it is kept it opens everything, and nothing else does; elsewhere there is no such way."""
    wrong = one.http.post("/auth/token", json={"username": "admin", "password": "admin"}).status_code
    if not password:
        assert (wrong, one.http.get("/auth/password").status_code) == (501, 404)
        assert (
            one.http.post("/auth/password", data={"password": case.secrets.admin_password}).status_code == 403
        )
        assert _bearer(one, token_of(case, kind="password")) == 403
        return
    assert wrong == 401
    assert "password of last resort" in one.http.get("/auth/password").text
    refused = one.http.post("/auth/password", data={"password": f"{password}x"})
    assert (refused.status_code, one.token()) == (403, "")
    assert one.http.post("/auth/password", data={"password": password}).is_redirect
    assert (one.may("/api/v2/connections"), one.may("/")) == (200, 200)
    made = one.http.post("/auth/token", json={"username": "admin", "password": password})
    assert (made.status_code, _bearer(one, made.json()["access_token"])) == (201, 200)
    _signs_out(one)


def _a_stale_cookie_is_in_nobody_s_way(browser, case: Case) -> None:
    """Airflow deletes an expired cookie after whatever else an answer sets."""
    expired = token_of(case, exp=int(time.time()) - 600)
    one = browser()
    one.http.cookies.set("_token", expired, domain="127.0.0.1", path="/")
    assert one.may() == 401
    one.http.cookies.set("_token", expired, domain="127.0.0.1", path="/")
    state = one.asks()
    assert one.token() == ""  # it went at the beginning
    one.http.cookies.set("_token", expired, domain="127.0.0.1", path="/")
    assert one.brings(one.assertion("o", state)).status_code == 303
    assert one.may() == 200


def _https_and_clocks(browser) -> None:
    one = browser(scheme="https")
    state = one.asks()
    answer = one.http.post("/auth/callback", data={"assertion": one.assertion("v", state)})
    assert "secure" in answer.headers["set-cookie"].lower()
    for seconds in (-50, 50):
        other = browser()
        state = other.asks()
        assert other.brings(other.assertion("v", state, now=time.time() + seconds)).status_code == 303
        assert (other.may(), len(other.token()) < 3000) == (200, True)


def _signs_out(one: Browser) -> None:
    token = one.token()
    answer = one.http.get("/api/v2/auth/logout")
    assert answer.headers["location"] == "/auth/logout"
    answer = one.http.get("/auth/logout")
    assert (answer.status_code, one.token()) == (200, "")
    assert _bearer(one, token) == 403


def _bearer(one: Browser, token: str, path: str = "/api/v2/dags") -> int:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(one.http.base_url.join(path), headers=headers, timeout=30).status_code
