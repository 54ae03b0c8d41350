"""Airflow's auth manager of a Deployment: people come from the console, as themselves, with the role of the Workspace.

What it believes stands in `airflow_sign_in`, beside which it is copied as it stands (`airdeck_sign_in` there). What the
roles may do is Airflow's own table, that of its SimpleAuthManager; nothing of that class which knows passwords is used.
Airflow 3.1 to 3.3.
"""

import hmac
import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode, urlsplit

import airdeck_sign_in as rules
import jwt
from airflow.api_fastapi.app import AUTH_MANAGER_FASTAPI_APP_PREFIX as PREFIX
from airflow.api_fastapi.app import get_cookie_path
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN as TOKEN_COOKIE
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.configuration import conf
from airflow.models.log import Log
from airflow.utils.session import create_session
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy import select, text

try:
    from airflow.models.revoked_token import RevokedToken
except ModuleNotFoundError:  # Airflow 3.1 keeps no list of them
    RevokedToken = None

STATE_COOKIE, ASSERTION_COOKIE = "airdeck_state", "airdeck_assertion"
CALLBACK = f"{PREFIX}/callback"
LAST_RESORT = "admin"  # the name under which an operator's password signs in
BODY_BYTES = 16 * 1024
NO_PASSWORDS = (
    "This Airflow takes no passwords. Create a token for scripts on the Deployment's page in Airdeck, and send it as "
    "`Authorization: Bearer`."
)
SIGN_IN_FORM = (
    '<form method="post"><p><label>Password <input type="password" name="password" autocomplete="current-password">'
    "</label></p><p><button>Sign in</button></p></form>"
)
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
}


class AirdeckUser(SimpleAuthManagerUser):  # type: ignore[misc]
    """Somebody who came in: Airflow calls them by their email address."""

    def __init__(self, claims: Mapping[str, Any], role: str) -> None:
        super().__init__(username=str(claims["email"]), role=role)
        self.user_id, self.kind = str(claims["sub"]), str(claims["kind"])
        self.since, self.issued = float(claims["since"]), float(claims["iat"])
        self.number = str(claims["jti"])  # of the session: with it all its tokens end


def new_user(user_id: str, email: str, role: str, kind: str, since: float) -> AirdeckUser:
    """Somebody whose session begins."""
    claims = {"sub": user_id, "email": email, "kind": kind, "since": since, "iat": time.time()}
    return AirdeckUser({**claims, "jti": uuid.uuid4().hex}, role)


class AirdeckAuthManager(SimpleAuthManager):  # type: ignore[misc]
    """Signs in people that the console sent, and judges by the table of roles of Airflow itself."""

    def init(self) -> None:
        """Read what the driver set; the past of SimpleAuthManager, which makes passwords, is skipped."""
        super(SimpleAuthManager, self).init()
        self.release = conf.get("airdeck", "release")
        self.key = rules.public_key(conf.get("airdeck", "sign_in_key"))
        self.people = rules.People(Path(conf.get("airdeck", "people")), self.key, self.release)
        self.consoles = tuple(conf.get("airdeck", "console").split())
        self.password_file = conf.get("airdeck", "password_file", fallback="")
        self.ended: set[str] = set()  # sessions; enough for Airflow 3.1 with one API server

    def deserialize_user(self, token: dict[str, Any]) -> AirdeckUser:
        """Raises ValueError for a person who may not be here any more."""
        kind, since = token["kind"], float(token["since"])
        if token["jti"] in self.ended or since + rules.SESSION_SECONDS < time.time():
            raise ValueError("The session is over.")
        if kind == rules.PASSWORD and self.password_file:
            return AirdeckUser(token, "ADMIN")
        if kind not in (rules.SESSION, rules.SCRIPT, rules.PROGRAM):
            raise ValueError("Passwords are not taken any more.")
        given = str(token["role"])
        try:
            role = self.people.role(str(token["sub"]), given, since)
        except rules.Refused as refused:
            raise ValueError(str(refused)) from None
        return AirdeckUser(token, rules.least(role, given) if kind == rules.PROGRAM else role)

    def serialize_user(self, user: AirdeckUser) -> dict[str, Any]:
        """What of a user stands in a token."""
        names = {"sub": user.user_id, "email": user.username, "role": user.role}
        return {**names, "kind": user.kind, "since": user.since, "jti": user.number}

    def generate_jwt(
        self, user: AirdeckUser, *, expiration_time_in_seconds: int = rules.TOKEN_SECONDS
    ) -> str:
        """A token of the user's session. Airflow's own gives each token a number; here all tokens of a session have
        one, by which it is ended."""
        signer, now = self._get_token_signer(), int(time.time())
        ends = now + min(expiration_time_in_seconds, rules.lifetime(user.since, now))
        claims = {**self.serialize_user(user), "aud": signer.audience, "nbf": now, "iat": now, "exp": ends}
        if signer.issuer:
            claims["iss"] = signer.issuer
        headers = {"kid": signer.kid}
        return jwt.encode(claims, signer.signing_arg, algorithm=signer.algorithm, headers=headers)

    def refresh_user(self, *, user: AirdeckUser) -> AirdeckUser | None:
        """A new token for a person who goes on working, without a question to the console."""
        old = time.time() - user.issued > rules.RENEW_SECONDS
        return user if old and user.kind in (rules.SESSION, rules.PASSWORD) else None

    def revoke_token(self, token: str) -> None:
        """End the whole session of a token. Airflow calls this when somebody signs out."""
        try:
            claims = self._get_token_validator().validated_claims(token)
        except jwt.InvalidTokenError:
            return
        number, ends = str(claims.get("jti")), float(claims.get("since", 0)) + rules.SESSION_SECONDS
        self.ended.add(number)
        if RevokedToken is not None:
            RevokedToken.revoke(number, datetime.fromtimestamp(ends, tz=UTC))

    def get_url_login(self, **kwargs: Any) -> str:
        """Where Airflow sends a person without a session."""
        to = kwargs.get("next_url")
        return f"{PREFIX}/login?{urlencode({'next': to})}" if to else f"{PREFIX}/login"

    def get_url_logout(self) -> str:
        """Where Airflow sends a person who signs out; it leaves the cookie to us."""
        return f"{PREFIX}/logout"

    def get_fastapi_middlewares(self) -> list[Any]:
        """None: SimpleAuthManager's would let everybody in."""
        return []

    def get_fastapi_app(self) -> FastAPI:
        """What answers below `/auth`."""
        pages = Pages(self)
        app = FastAPI(title="Airdeck sign-in", docs_url=None, redoc_url=None, openapi_url=None)
        for method, path, answer in (
            ("GET", "/login", pages.login),
            ("POST", "/callback", pages.receive),
            ("GET", "/callback", pages.callback),
            ("GET", "/logout", pages.logout),
            ("GET", "/password", pages.password_page),
            ("POST", "/password", pages.password),
            ("POST", "/token", pages.token),
            ("POST", "/token/cli", pages.token),
        ):
            app.add_api_route(path, answer, methods=[method], response_model=None)
        return app


class Pages:
    """The sign-in as a browser sees it."""

    def __init__(self, manager: AirdeckAuthManager) -> None:
        self._manager = manager

    def login(self, request: Request, next: str = "/", console: str = "") -> Response:
        """To the console. A stale token goes first: Airflow deletes one after whatever a later answer sets."""
        consoles = self._manager.consoles
        origin = console if console in consoles else consoles[0]
        state = request.cookies.get(STATE_COOKIE, "")
        if not 40 <= len(state) <= 64 or not state.isascii():  # several tabs may sign in at a time
            state = token_urlsafe(32)
        query = urlencode(
            {"state": rules.digest(state), "next": rules.local_path(next, _addresses_of(request))}
        )
        answer = _to(f"{origin}/deployments/{self._manager.release}/open/?{query}")
        _forget_token(request, answer)
        _set(request, answer, STATE_COOKIE, state, path=PREFIX, seconds=rules.STATE_SECONDS)
        return answer

    async def receive(self, request: Request) -> Response:
        """The console's form. Cookies of this Airflow do not come with a form from elsewhere, so the assertion is put
        into one, and the browser asks again by itself: then they come."""
        body = await _body(request)
        assertion = rules.fields(body).get("assertion", "")[:3500]
        answer = _to(CALLBACK)
        _set(request, answer, ASSERTION_COOKIE, assertion, path=CALLBACK, seconds=120)
        return answer

    def callback(self, request: Request, again: str = "") -> Response:
        """Check the assertion and begin the session."""
        if request.cookies.get(TOKEN_COOKIE) and not again:
            # Airflow would delete or renew an old one after ours is set.
            answer: Response = _to(f"{CALLBACK}?again=1")
            _forget_token(request, answer)
            return answer
        manager = self._manager
        assertion, state = (request.cookies.get(name, "") for name in (ASSERTION_COOKIE, STATE_COOKIE))
        try:
            found = rules.read_assertion(assertion, manager.key, manager.release, state, time.time())
            role = manager.people.role(found.user_id, found.role, found.since)
            if not _first_time(found):
                raise rules.Refused("This sign-in was used before. Open Airflow again.")
        except rules.Refused as refused:
            answer = self._page(403, "You are not signed in to this Airflow", str(refused), ways=True)
        else:
            answer = _to(found.next)
            self._begin(
                request, answer, new_user(found.user_id, found.email, role, rules.SESSION, found.since)
            )
        answer.delete_cookie(ASSERTION_COOKIE, path=CALLBACK)
        return answer

    def logout(self, request: Request) -> Response:
        """Signed out of this Airflow, and of nothing else. Not back to the console, which would sign in again."""
        if token := request.cookies.get(TOKEN_COOKIE):
            self._manager.revoke_token(token)
        title = "You are signed out of this Airflow"
        answer = self._page(200, title, "Your session in Airdeck goes on.", ways=True)
        _forget_token(request, answer)
        answer.delete_cookie(STATE_COOKIE, path=PREFIX)
        return answer

    def password_page(self, request: Request) -> Response:
        """The way in of last resort, where an operator keeps it."""
        if not self._manager.password_file:
            return self._page(404, "This Airflow takes no passwords", "Open it from Airdeck.", ways=True)
        title = "Sign in with the password of last resort"
        return self._page(200, title, "Your name here is admin.", form=SIGN_IN_FORM)

    async def password(self, request: Request) -> Response:
        """Begin a session with that password."""
        if not self._right(rules.fields(await _body(request)).get("password", "")):
            return self._page(403, "This password is not right", "Go back and try again.")
        answer = _to(PREFIX.removesuffix("auth"))
        user = new_user(LAST_RESORT, LAST_RESORT, "ADMIN", rules.PASSWORD, time.time())
        self._begin(request, answer, user)
        return answer

    async def token(self, request: Request) -> Response:
        """What Airflow documents for scripts; here tokens come from the console, unless passwords are kept."""
        if not self._manager.password_file:
            return JSONResponse({"detail": NO_PASSWORDS}, status_code=501)
        try:
            given = json.loads(await _body(request))
            right = given["username"] == LAST_RESORT and self._right(str(given["password"]))
        except (ValueError, KeyError, TypeError):
            right = False
        if not right:
            return JSONResponse({"detail": "The user name or the password is wrong."}, status_code=401)
        user = new_user(LAST_RESORT, LAST_RESORT, "ADMIN", rules.PASSWORD, time.time())
        return JSONResponse({"access_token": self._manager.generate_jwt(user)}, status_code=201)

    def _right(self, given: str) -> bool:
        if not self._manager.password_file:
            return False
        expected = str(json.loads(Path(self._manager.password_file).read_text())[LAST_RESORT])
        return hmac.compare_digest(given.encode(), expected.encode())

    def _begin(self, request: Request, answer: Response, user: AirdeckUser) -> None:
        token = self._manager.generate_jwt(user)
        _set(request, answer, TOKEN_COOKIE, token, path=get_cookie_path(), seconds=None)

    def _page(
        self, status: int, title: str, sentence: str, *, ways: bool = False, form: str = ""
    ) -> Response:
        console = f"{self._manager.consoles[0]}/deployments/{self._manager.release}/"
        links = ((f"{PREFIX}/login", "Sign in again"), (console, "Back to Airdeck")) if ways else ()
        return HTMLResponse(rules.page(title, sentence, links, form), status_code=status, headers=HEADERS)


def _to(url: str) -> RedirectResponse:
    return RedirectResponse(url, status_code=303, headers=HEADERS)


async def _body(request: Request) -> bytes:
    """A small body, its end cut off when there is more."""
    found = b""
    async for chunk in request.stream():
        found += chunk
        if len(found) > BODY_BYTES:
            break
    return found[:BODY_BYTES]


def _addresses_of(request: Request) -> tuple[str, ...]:
    """Where this Airflow is: as configured, and as the browser asked."""
    base = urlsplit(conf.get("api", "base_url", fallback=""))
    return f"{base.scheme}://{base.netloc}", f"{request.base_url.scheme}://{request.base_url.netloc}"


def _secure(request: Request) -> bool:
    return any(address.startswith("https://") for address in _addresses_of(request))


def _set(
    request: Request, answer: Response, name: str, value: str, *, path: str, seconds: int | None
) -> None:
    secure = _secure(request)
    answer.set_cookie(name, value, max_age=seconds, path=path, secure=secure, httponly=True, samesite="lax")


def _forget_token(request: Request, answer: Response) -> None:
    for path in {get_cookie_path(), "/"}:
        answer.delete_cookie(TOKEN_COOKIE, path=path, secure=_secure(request), httponly=True, samesite="lax")


def _first_time(found: rules.Assertion) -> bool:
    """Write the sign-in into Airflow's audit log; False when this assertion is there already. One transaction, in which
    others with the same number wait: several API servers may share the database."""
    extra = json.dumps({"assertion": found.number})
    lately = datetime.now(UTC) - timedelta(minutes=15)
    with create_session() as session:
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:number, 0))")
        session.execute(lock, {"number": found.number})
        same = (Log.event == "sign_in") & (Log.dttm > lately) & (Log.extra == extra)
        if session.scalar(select(Log.id).where(same).limit(1)) is not None:
            return False
        session.add(Log(event="sign_in", owner=found.email, owner_display_name=found.email, extra=extra))
    return True
