"""Which console, as whom, in which Workspace: contexts in a file that only its owner reads, or the environment.

The environment wins: AIRDECK_URL, AIRDECK_TOKEN, AIRDECK_WORKSPACE. A token is never an argument: arguments are in the
list of processes for everybody on the machine.
"""

import json
import os
import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from airdeck_cli.errors import FAILED, NOT_ALLOWED, USAGE, CliError

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(r"adk_([a-z])_([0-9A-Za-z]{40})([0-9A-Za-z]{6})")


@dataclass(frozen=True, repr=False)
class Context:
    """One console. `token` and `workspace` (an id) may be empty."""

    url: str
    token: str = ""
    workspace: str = ""
    workspace_name: str = ""


def folder() -> Path:
    """Where contexts are kept: AIRDECK_HOME, else the place of the system."""
    import click

    return Path(os.environ.get("AIRDECK_HOME") or click.get_app_dir("airdeck"))


def read_all() -> tuple[str, dict[str, Context]]:
    """The name of the current context, and all of them."""
    path = folder() / "contexts.json"
    try:
        document = json.loads(path.read_text())
        found = {name: Context(**each) for name, each in document["contexts"].items()}
        return str(document["current"]), found
    except FileNotFoundError:
        return "", {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CliError(f"{path} cannot be read. Fix it, or remove it and sign in again.", FAILED) from None


def write_all(current: str, contexts: dict[str, Context]) -> None:
    """Store them with mode 0600, in one step."""
    place = folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps({"current": current, "contexts": {k: vars(v) for k, v in contexts.items()}}, indent=2)
    new = place / f".contexts.{os.getpid()}"
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text + "\n")
    new.replace(place / "contexts.json")


def current(name: str = "") -> Context:
    """What this command works with: the context of that name, else the current one, with what the environment says.
    Raises CliError when no console is known."""
    chosen, contexts = read_all()
    name = name or os.environ.get("AIRDECK_CONTEXT", "") or chosen
    found = contexts.get(name)
    if name and found is None:
        raise CliError(f"There is no context {name}. List them with: airdeck context list", USAGE)
    url = os.environ.get("AIRDECK_URL", "").strip()
    if url and (found is None or clean_url(url) != found.url):
        found = Context(clean_url(url))  # another console gets no token that was stored for this one
    if found is None:
        raise CliError(
            "No console is known. Sign in with: airdeck login URL, or set AIRDECK_URL and AIRDECK_TOKEN.",
            NOT_ALLOWED,
        )
    if token := os.environ.get("AIRDECK_TOKEN", "").strip():
        found = replace(found, token=token, workspace="", workspace_name="")
    if workspace := os.environ.get("AIRDECK_WORKSPACE", "").strip():
        found = replace(found, workspace="", workspace_name=workspace)
    if found.token:
        check_token(found.token)
    return found


def clean_url(text: str) -> str:
    """A console's address without a path. Raises CliError."""
    text = text.strip()  # a secret of CI often ends with a line's end
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError:
        parts = urlsplit("")
    wrong = parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query
    if wrong or " " in parts.netloc:
        raise CliError(
            f"{text} is not the address of a console. Enter one like https://airdeck.example.org", USAGE
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def check_token(value: str) -> None:
    """Raises CliError for what cannot be a token: its last characters reveal typing errors without a request."""
    found = _TOKEN.fullmatch(value)
    if found is None or found[3] != _checksum(f"{found[1]}_{found[2]}"):
        raise CliError(
            "This is not an API token of Airdeck, or a part of it is missing. Copy it again.", NOT_ALLOWED
        )


def _checksum(text: str) -> str:
    number, found = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        found = DIGITS[rest] + found
    return found
