"""Asking the console: one request after another, errors as sentences with the exit code that fits, pages to their end.

`urllib` of the standard library, because it is a fifth of httpx's start; it knows proxies and private authorities.
"""

import http.client
import json
import os
import shlex
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO
from urllib import error as urllib_error
from urllib import request as urllib_request
from urllib.parse import quote, urlencode, urlsplit

from airdeck_cli import VERSION
from airdeck_cli.contexts import Context
from airdeck_cli.errors import CONFLICT, FAILED, NOT_ALLOWED, UNREACHABLE, USAGE, CliError

TIMEOUT = 40.0  # of one answer; a long poll takes 25 s
TRIES = 4
BACK_OFF = 0.25  # seconds before the second try, doubled each time
SECRET_LOST = "Run the command again: it makes another secret and prints it. The lost one ends then."  # noqa: S105 - a sentence
LINES = "application/x-ndjson"
VERSION_HEADER = "Airdeck-Version"
EXIT_CODES = {
    400: FAILED,
    401: NOT_ALLOWED,
    403: NOT_ALLOWED,
    404: USAGE,
    409: CONFLICT,
    410: CONFLICT,
    412: CONFLICT,
}
EXIT_CODES |= {413: USAGE, 422: USAGE, 429: UNREACHABLE, 502: UNREACHABLE, 503: UNREACHABLE, 504: UNREACHABLE}
AGAIN = {429, 502, 503, 504}
LOST = {502, 504}  # of these from a proxy: it may be done. Of the other two nothing was done


@dataclass
class Answer:
    """What came back. `headers` have lower-case names, `body` is parsed JSON, None for none, a list for one value a
    line. `repeated`: an earlier answer to the same request was lost: what was asked for may have been done then."""

    status: int
    headers: Mapping[str, str]
    body: Any = field(default=None)
    repeated: bool = False

    @property
    def is_lines(self) -> bool:
        """Whether it was one value a line."""
        return self.headers.get("content-type", "").startswith(LINES)

    @property
    def etag(self) -> str:
        """Of what was read; "" where none came."""
        return self.headers.get("etag", "")


class _NoRedirects(urllib_request.HTTPRedirectHandler):
    """A token is for one address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Nothing is followed."""
        return


class Client:
    """The API of one console. `debug` says on stderr what is asked: paths and statuses, never a body or a header."""

    def __init__(self, context: Context, *, ca: str = "", debug: bool = False) -> None:
        self.context = context
        self._debug = debug
        handlers: list[Any] = [_NoRedirects()]
        if context.url.startswith("https:"):
            handlers.append(urllib_request.HTTPSHandler(context=_trust(ca)))
        self._opener = urllib_request.build_opener(*handlers)
        self.server_version = ""

    def get(self, path: str, **query: object) -> Any:
        """The body of a GET. A lost connection is tried again."""
        return self.send("GET", path, query=query).body

    def pages(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        """Every item of a list, however many pages it has."""
        cursor = ""
        while True:
            page = self.get(path, **query, limit=100, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page.get("next") or ""
            if not cursor:
                return

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        file: BinaryIO | None = None,
        content_type: str = "application/json",
        repeatable: bool | None = None,
        timeout: float = TIMEOUT,
        lost: str = "",
    ) -> Answer:
        """One request and its answer. `file` is the body, whole again at each try. What is `repeatable` is asked again
        when its answer is lost; a DELETE that then finds nothing worked, and has no body. `lost` says what to do
        without an answer where the command run again does it twice. Raises CliError."""
        repeatable = method in {"GET", "DELETE", "PUT", "PATCH"} if repeatable is None else repeatable
        data: Any = json.dumps(body).encode() if body is not None else file
        sent = {**(headers or {}), **({"Content-Type": content_type} if data is not None else {})}
        lost = "" if method == "GET" else lost or _what_to_do(repeatable or "Idempotency-Key" in sent)
        repeated = False
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            if file is not None:
                sent["Content-Length"] = str(file.seek(0, os.SEEK_END))
                file.seek(0)
            try:
                with self._open(method, path, query, sent, data, timeout) as response:
                    return replace(self._read(response), repeated=repeated)
            except CliError as refused:
                if repeated and method == "DELETE" and refused.status == 404 and refused.code:
                    return Answer(404, {}, repeated=True)
                refused.repeated, repeated = repeated, repeated or refused.status in LOST
                if last or refused.status not in (AGAIN if repeatable else AGAIN - LOST):
                    raise _perhaps(refused, lost if repeated and refused.status in AGAIN else "") from None
                time.sleep(min(getattr(refused, "retry_after", 0) or BACK_OFF * 2**attempt, 10))
            except (OSError, http.client.HTTPException) as broken:
                never_sent = isinstance(_reason(broken), ConnectionRefusedError | socket.gaierror)
                if last or not (repeatable or never_sent) or isinstance(_reason(broken), ssl.SSLError):
                    raise self._unreachable(broken, "" if never_sent and not repeated else lost) from None
                repeated = repeated or not never_sent
                time.sleep(BACK_OFF * 2**attempt)
        raise AssertionError("not reached")

    def lines(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        """The lines of an NDJSON answer as they come, until the console ends it."""
        try:
            with self._open("GET", path, query, {"Accept": LINES}, None, None) as response:
                for line in response:
                    if line.strip():
                        yield json.loads(line)
        except (OSError, http.client.HTTPException) as broken:
            raise self._unreachable(broken) from None
        except ValueError:
            sentence = f"{self.context.url} broke off within a line. Run the command again."
            raise CliError(sentence, UNREACHABLE) from None

    def form(self, path: str, fields: Mapping[str, str]) -> Answer:
        """A form to an address beside the API, asked once and without a token. Its JSON, whatever the status; `body` is
        None for what is no JSON. Raises CliError when there is no answer."""
        sent = {"User-Agent": f"airdeck-cli/{VERSION}", "Accept": "application/json"}
        url, data = f"{self.context.url}{path}", urlencode(fields).encode()
        request = urllib_request.Request(url, data=data, headers=sent)  # noqa: S310 - http or https
        try:
            answer = self._opener.open(request, timeout=TIMEOUT)
        except urllib_error.HTTPError as refused:
            answer = refused
        except (OSError, http.client.HTTPException) as broken:
            raise self._unreachable(broken) from None
        with answer:
            self._say(f"POST {path} {answer.status}")
            try:
                body = json.loads(answer.read(1_000_000))
            except (ValueError, OSError, http.client.HTTPException):
                body = None
        return Answer(answer.status, _lower(answer.headers), body if isinstance(body, dict) else None)

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        headers: Mapping[str, str],
        data: Any,
        timeout: float | None,
    ) -> Any:
        url = f"{self.context.url}/api/v1{quote(path)}"
        given = [(name, value) for name, value in (query or {}).items() if value not in {None, ""}]
        if given:
            url += "?" + urlencode(given)
        sent = {"User-Agent": f"airdeck-cli/{VERSION}", "Accept": "application/json", **headers}
        if self.context.token:
            sent["Authorization"] = f"Bearer {self.context.token}"
        request = urllib_request.Request(url, data=data, headers=sent, method=method)  # noqa: S310 - http or https
        begun = time.monotonic()
        try:
            response = self._opener.open(request, timeout=timeout)
        except urllib_error.HTTPError as refused:
            self._say(f"{method} {path} {refused.code} {time.monotonic() - begun:.2f} s")
            with refused:
                raise self._refusal(refused) from None
        self._say(f"{method} {path} {response.status} {time.monotonic() - begun:.2f} s")
        self.server_version = response.headers.get(VERSION_HEADER, "")
        return response

    def _read(self, response: Any) -> Answer:
        raw = response.read()
        try:
            if response.headers.get_content_type() == LINES:
                body: Any = [json.loads(line) for line in raw.splitlines() if line.strip()]
            else:
                body = json.loads(raw) if raw.strip() else None
        except ValueError:
            raise CliError(
                f"{self.context.url} does not answer as Airdeck does. Check the address.", UNREACHABLE
            ) from None
        return Answer(response.status, _lower(response.headers), body)

    def _refusal(self, refused: urllib_error.HTTPError) -> CliError:
        """The console's own sentence; one of ours where something else answers."""
        self.server_version = refused.headers.get(VERSION_HEADER, "")
        try:
            problem = json.loads(refused.read(1_000_000))
            sentence, code = str(problem["detail"]), str(problem.get("code", ""))
            errors = {each["path"]: each["sentence"] for each in problem.get("errors", [])}
        except (ValueError, KeyError, TypeError, OSError):
            where = refused.headers.get("Location", "")
            if 300 <= refused.code < 400 and where:
                split = urlsplit(where)
                sentence = f"{self.context.url} leads to {split.scheme}://{split.netloc}. Use that address."
                return CliError(sentence, UNREACHABLE, status=refused.code)
            sentence, code, errors = f"{self.context.url} answered {refused.code}.", "", {}
            if refused.code == 404:
                sentence += " Check that this is the address of an Airdeck console."
        sentence += self._age(refused.code)
        found = CliError(
            sentence, EXIT_CODES.get(refused.code, FAILED), errors=errors, code=code, status=refused.code
        )
        seconds = refused.headers.get("Retry-After", "")
        found.retry_after = int(seconds) if seconds.isdecimal() else 0  # type: ignore[attr-defined]
        return found

    def _age(self, status: int) -> str:
        """What an older console may not know."""
        if (
            status not in {404, 405}
            or not self.server_version
            or _numbers(self.server_version) >= _numbers(VERSION)
        ):
            return ""
        return (
            f" The console is Airdeck {self.server_version}, older than this command line ({VERSION}), and may not "
            "know this yet: upgrade it, or install the command line of its version."
        )

    def _unreachable(self, broken: Exception, lost: str = "") -> CliError:
        """`lost` is what to do about a request that may have been done."""
        reason = _reason(broken)
        if isinstance(reason, ssl.SSLCertVerificationError):
            sentence = f"The certificate of {self.context.url} is not trusted: {reason.verify_message}."
            return CliError(
                f"{sentence} Name the file of its authority with --ca or SSL_CERT_FILE.", UNREACHABLE
            )
        what = str(getattr(reason, "strerror", "") or reason or type(reason).__name__)
        if lost:
            sentence = f"The connection to {self.context.url} broke before the answer came ({what})."
            return _perhaps(CliError(sentence, UNREACHABLE), lost)
        return CliError(
            f"{self.context.url} cannot be reached: {what}. Check the address and the network.", UNREACHABLE
        )

    def _say(self, line: str) -> None:
        if self._debug:
            print(line, file=sys.stderr)


def new_key() -> str:
    """An Idempotency-Key: whatever is asked again with it is done once."""
    return uuid.uuid4().hex


def look(command: str, **options: str) -> str:
    """What to do when the answer is lost of what the same command would do once more: `command`, with those of its
    `options` that have a value, shows whether it was done."""
    given = [f"--{name} {shlex.quote(value)}" for name, value in options.items() if value]
    return f"Look before you run the command again: {' '.join((command, *given))}"


def _what_to_do(once: bool) -> str:
    return (
        "Run the command again, nothing is done twice." if once else "Look before you run the command again."
    )


def _perhaps(error: CliError, lost: str) -> CliError:
    """The error of a request that may have been done all the same, with what to do about it; without that as it is."""
    if lost:
        error.args = (f"{error} It may be done. {lost}",)
    return error


def _trust(ca: str) -> ssl.SSLContext:
    """The system's authorities, those of SSL_CERT_FILE, and `ca` beside them."""
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(cafile=ca)
        except (OSError, ssl.SSLError):
            raise CliError(f"{ca} cannot be read as certificates in PEM. Name another file.", USAGE) from None
    return context


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    """With names in lower case, as some proxies (Envoy, for one) pass all of them on."""
    return {name.lower(): value for name, value in headers.items()}


def _reason(broken: BaseException) -> BaseException:
    inner = getattr(broken, "reason", None)
    return inner if isinstance(inner, BaseException) else broken


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("+")[0].split(".") if part.isdecimal())
