"""Where a secret comes from that the console is to keep: standard input, a file or the environment. It is never an
argument, because arguments are in the list of processes."""

import os
from pathlib import Path

import click

from airdeck_cli import standard_input
from airdeck_cli.errors import USAGE, CliError, not_given
from airdeck_cli.output import is_terminal


def read(
    what: str, *, flags: tuple[str, ...], variable: str, stdin: bool, file: str, none: bool = False
) -> str | None:
    """The secret, without blanks around it; "" with `none`, None when nothing says anything about it. `what` it is,
    in a word; its `flags` exclude one another; `variable` is that of the environment. Raises CliError."""
    if stdin + bool(file) + none > 1:
        raise CliError(f"Use only one of {', '.join(flags)}.", USAGE)
    if none:
        return ""
    if stdin:
        return _there(typed(what.capitalize()), f"Standard input holds no {what}. Pipe it in.")
    if file:
        return _there(_text_of(file), f"{file} is empty. Write the {what} into it.")
    if variable not in os.environ:
        return None
    found = os.environ[variable].strip()
    if not found:
        raise not_given(variable)
    return found


def typed(prompt: str, *, first_line: bool = False) -> str:
    """What a person types, unseen, at a terminal; else standard input, or its first line. Raises CliError."""
    if is_terminal():
        return str(click.prompt(prompt, hide_input=True, err=True))
    return standard_input.text(first_line=first_line)


def _there(text: str, otherwise: str) -> str:
    secret = text.strip()
    if not secret:
        raise CliError(otherwise, USAGE)
    return secret


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text("utf-8-sig")
    except OSError as error:
        raise CliError(f"open {file}: {(error.strerror or 'it cannot be read').lower()}", USAGE) from None
    except UnicodeDecodeError:
        raise CliError(f"{file} is not UTF-8. Save it as UTF-8.", USAGE) from None
