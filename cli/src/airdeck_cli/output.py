"""What commands print: a table for people, JSON and YAML for programs, and then nothing else on stdout."""

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import click

Row = Sequence[object]

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    help="How to print it.",
)


count_option = click.option(
    "-c", "--count", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)


def show_newest(
    pages: Iterable[Any],
    count: int,
    output: str,
    heads: Sequence[str],
    line: Callable[[Any], Row],
    *,
    empty: str,
) -> None:
    """Print the first `count` of a list whose newest come first, each row as `line` makes it. A note says when there
    are more."""
    found = list(islice(pages, count + 1))
    rows = found[:count]
    show(rows, output, lambda: print_table(heads, [line(row) for row in rows], empty=empty))
    if len(found) > count and output == "table":
        note(f"The newest {count} are listed.")


def show(value: Any, output: str, table: Callable[[], None]) -> None:
    """Print the value as JSON or YAML, or let `table` print it for people."""
    if output == "json":
        click.echo(as_json(value))
    elif output == "yaml":
        click.echo(to_yaml(value), nl=False)
    else:
        table()


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """As JSON, with nothing that standard output cannot hold."""
    return json.dumps(value, indent=indent, ensure_ascii=not _holds_unicode())


def _holds_unicode() -> bool:
    return "utf" in str(getattr(sys.stdout, "encoding", None) or "").lower()


def to_yaml(value: Any) -> str:
    """As YAML, keys in their order, with nothing that standard output cannot hold."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=_holds_unicode(), width=110))


def print_table(heads: Sequence[str], rows: Sequence[Row], *, empty: str) -> None:
    """Columns two blanks apart; the sentence `empty` without rows."""
    if not rows:
        click.echo(empty)
        return
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*[list(heads), *cells], strict=True)]
    for row in [list(heads), *cells]:
        padded = [cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)]
        click.echo("  ".join(padded).rstrip())


def clean(text: str) -> str:
    """On one line, and without what would steer a terminal."""
    return "".join(c if unicodedata.category(c) not in {"Cc", "Cf", "Zl", "Zp"} else " " for c in text)


def width(text: str) -> int:
    """Columns of a terminal."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def moment(text: str | None) -> str:
    """A moment of the API to the minute, in UTC; "" for none."""
    return f"{text[:16].replace('T', ' ')} UTC" if text else ""


def note(line: str) -> None:
    """For people only: on stderr, so that stdout stays what a program reads."""
    click.echo(line, err=True)


def is_terminal() -> bool:
    """Whether a person can be asked. A process may have been given no stream at all."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def has_screen() -> bool:
    """Whether a browser can be shown here. Without a screen the system's own program would complain in our place."""
    return sys.platform in {"darwin", "win32"} or any(
        os.environ.get(each) for each in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )


def confirm(question: str, *, yes: bool, otherwise: str) -> bool:
    """A yes of the person; with `yes` it is given. Without a terminal no question is asked, and nothing is done. Raises
    CliError."""
    from airdeck_cli.errors import USAGE, CliError

    if yes:
        return True
    if not is_terminal():
        raise CliError(f"There is no terminal to ask at. {otherwise}", USAGE)
    return click.confirm(question, err=True)
