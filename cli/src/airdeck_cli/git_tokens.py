"""Where the token of a Git repository comes from: standard input, a file or the environment. It is never an argument,
because arguments are in the list of processes."""

import os
import sys
from pathlib import Path

import click

from airdeck_cli.errors import NOT_ALLOWED, USAGE, CliError
from airdeck_cli.output import is_terminal

VARIABLE = "AIRDECK_GIT_TOKEN"


def read(*, stdin: bool, file: str, none: bool) -> str | None:
    """The token; "" for none, None when nothing says anything about it. Raises CliError."""
    if stdin + bool(file) + none > 1:
        raise CliError("Use one of --token-stdin, --token-file and --no-token.", USAGE)
    if none:
        return ""
    if stdin:
        typed = click.prompt("Token", hide_input=True, err=True) if is_terminal() else sys.stdin.read()
        return _there(typed, "Standard input holds no token. Pipe it in.")
    if file:
        return _there(_text_of(file), f"{file} is empty. Write the token into it.")
    if VARIABLE not in os.environ:
        return None
    found = os.environ[VARIABLE].strip()
    if not found:
        why = (
            "this job was not given the secret. Check its name, and whether a job of this branch may have it."
        )
        raise CliError(f"{VARIABLE} is empty: {why}", NOT_ALLOWED)
    return found


def _there(text: str, otherwise: str) -> str:
    token = text.strip()
    if not token:
        raise CliError(otherwise, USAGE)
    return token


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text("utf-8-sig")
    except OSError as error:
        raise CliError(f"open {file}: {(error.strerror or 'it cannot be read').lower()}", USAGE) from None
    except UnicodeDecodeError:
        raise CliError(f"{file} is not UTF-8. Save it as UTF-8.", USAGE) from None
