"""airdeck api: the API itself, for what has no command yet."""

import json

import click

from airdeck_cli.errors import USAGE, CliError
from airdeck_cli.session import Globals


@click.command()
@click.argument("method", type=click.Choice(["GET"], case_sensitive=False))
@click.argument("path")
@click.pass_obj
def api(at: Globals, /, method: str, path: str) -> None:
    """Ask the API itself and print its answer, as in: airdeck api GET /deployments?status=healthy."""
    if not path.startswith("/"):
        raise CliError("A path begins with a slash, as in /deployments.", USAGE)
    place, _, query = path.removeprefix("/api/v1").partition("?")
    from urllib.parse import parse_qsl

    body = at.client().send(method.upper(), place, query=dict(parse_qsl(query))).body
    click.echo(json.dumps(body, indent=2, ensure_ascii=False))
