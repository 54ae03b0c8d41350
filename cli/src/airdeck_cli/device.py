"""Signing in by a code (RFC 8628): the terminal shows a code, a browser anywhere confirms it, and this asks until it
was."""

import socket
import time

from airdeck_cli.client import Client
from airdeck_cli.errors import FAILED, NOT_ALLOWED, TIMED_OUT, UNREACHABLE, CliError
from airdeck_cli.output import clean, has_screen, note

CLIENT = "airdeck-cli"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CODE, TOKEN = "/identity/o/api/device/code", "/identity/o/api/token"
SLOWER = 5  # seconds more between questions, when the console asks for that


def sign_in(client: Client, *, browser: bool) -> str:
    """The token that a person gave this command line. Raises CliError when the person refused, was too late, or the
    console knows no such sign-in."""
    asked = client.form(CODE, {"client_id": CLIENT, "device": socket.gethostname()})
    begun = asked.body
    if asked.status != 200 or begun is None or "device_code" not in begun:
        raise _not_begun(client, asked.status, begun)
    page, code = clean(str(begun["verification_uri"])), clean(str(begun["user_code"]))
    complete = clean(str(begun.get("verification_uri_complete", page)))
    note(f"Open {complete}\nand confirm the code {code}. (On another device: {page})")
    if browser and _open(client, complete):
        note("Your browser opens it.")
    return _poll(client, str(begun["device_code"]), begun)


def _not_begun(client: Client, status: int, body: object) -> CliError:
    url = client.context.url
    if status == 429:
        return CliError(
            "Too many sign-ins were begun from this network. Try again in ten minutes.", UNREACHABLE
        )
    if status in {404, 405} or body is None:
        return CliError(
            f"{url} knows no sign-in by browser. Check the address; an older Airdeck takes a token of yours with "
            "--token-stdin.",
            UNREACHABLE,
        )
    return CliError(f"{url} began no sign-in: it answered {status}.", FAILED)


def _poll(client: Client, device_code: str, begun: dict[str, object]) -> str:
    """Ask until there is an answer. A console that is away for a while is asked again."""
    pause = _seconds(begun.get("interval"), 5)
    ends = time.monotonic() + _seconds(begun.get("expires_in"), 600)
    fields = {"grant_type": GRANT, "device_code": device_code, "client_id": CLIENT}
    away: CliError | None = None
    while time.monotonic() < ends:
        time.sleep(max(pause, 0.2))
        try:
            answer = client.form(TOKEN, fields)
        except CliError as broken:
            if away is None:
                note(f"{broken} Trying again.")
            away = broken
            continue
        body = answer.body or {}
        if answer.status == 200 and "access_token" in body:
            return str(body["access_token"])
        error = str(body.get("error", ""))
        if error == "slow_down":
            pause += SLOWER
        elif error == "access_denied":
            why = clean(str(body.get("error_description") or ""))
            raise CliError(why or "The sign-in was refused in the console.", NOT_ALLOWED)
        elif error in {"expired_token", "invalid_grant"}:
            break
        elif error != "authorization_pending" and answer.status < 500:
            raise CliError(
                f"{client.context.url} refused the sign-in: {clean(error) or answer.status}.", FAILED
            )
    if away is not None and time.monotonic() >= ends:
        raise away
    raise CliError("The code was not confirmed in time. Run airdeck login again for a new one.", TIMED_OUT)


def _seconds(value: object, otherwise: int) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 3600 else otherwise


def _open(client: Client, address: str) -> bool:
    """Open a browser where there is a screen. The address must be the console's own: who answers decides what is shown,
    and not what is started."""
    if not has_screen() or not address.startswith(f"{client.context.url}/"):
        return False
    import webbrowser

    return webbrowser.open(address)
