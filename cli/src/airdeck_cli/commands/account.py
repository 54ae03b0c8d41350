"""airdeck login, logout, whoami, context, workspace, completion."""

import sys
from dataclasses import replace

import click

from airdeck_cli import contexts
from airdeck_cli.client import Client
from airdeck_cli.contexts import Context
from airdeck_cli.errors import USAGE, CliError
from airdeck_cli.finding import workspace_of
from airdeck_cli.output import is_terminal, note, output_option, print_table, show
from airdeck_cli.session import Globals


@click.command()
@click.argument("url", default="")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@click.option("--name", default="", help="What to call this console; its host without.")
@click.pass_obj
def login(at: Globals, /, url: str, token_stdin: bool, name: str) -> None:
    """Sign in to a console with an API token of your own.

    Make it in the console: Account, API tokens. It is asked for without being shown, or read with --token-stdin, and
    kept in a file that only you can read.
    """
    chosen, known = contexts.read_all()
    address = contexts.clean_url(url) if url else known[chosen].url if chosen in known else ""
    if not address:
        raise CliError("Name the console: airdeck login https://airdeck.example.org", USAGE)
    warn_of_clear_text(address)
    if token_stdin:
        token = sys.stdin.readline().strip()
    elif is_terminal():
        token = click.prompt(f"API token of {address}", hide_input=True, err=True).strip()
    else:
        raise CliError(
            "Nobody can be asked here. Pipe the token in with --token-stdin, or set AIRDECK_TOKEN.", USAGE
        )
    contexts.check_token(token)
    me = Client(Context(address, token), ca=at.ca, debug=at.debug).get("/me")
    place = me["token"]["workspace"] or {}
    label = name or address.partition("://")[2]
    known[label] = Context(address, token, str(place.get("id", "")), str(place.get("name", "")))
    contexts.write_all(label, known)
    click.echo(f"Signed in to {address} as {me['email']} with the token {me['token']['name']}.")
    note(f"The token is kept in {contexts.folder() / 'contexts.json'}, which only you can read.")


def warn_of_clear_text(url: str) -> None:
    """A token sent in the clear can be read on the network."""
    host = url.partition("://")[2].split("/")[0].rpartition(":")[0] or url.partition("://")[2]
    if (
        url.startswith("http:")
        and host not in {"localhost", "127.0.0.1", "[::1]"}
        and not host.endswith(".localhost")
    ):
        note(f"Warning: {url} is not encrypted. Anybody on the network can read the token.")


@click.command()
@click.argument("name", default="")
def logout(name: str) -> None:
    """Forget a console and its token. The token itself stays valid: revoke it in the console."""
    chosen, known = contexts.read_all()
    label = name or chosen
    if label not in known:
        raise CliError(f"There is no context {label}." if label else "You are signed in nowhere.", USAGE)
    del known[label]
    contexts.write_all(next(iter(known), "") if label == chosen else chosen, known)
    click.echo(f"Forgot {label}. Its token stays valid until you revoke it in the console.")


@click.command()
@output_option
@click.pass_obj
def whoami(at: Globals, /, output: str) -> None:
    """Who acts, with which token, and until when."""
    client = at.client()
    me = client.get("/me")
    token = me["token"]

    def table() -> None:
        place = f" in {token['workspace']['name']}" if token["workspace"] else ""
        until = f"until {token['expires_at'][:10]}" if token["expires_at"] else "without end"
        click.echo(f"{me['email']} at {client.context.url}")
        click.echo(
            f"Token {token['name']} ({token['kind']}, {token['beginning']}…): {token['role']}{place}, {until}."
        )

    show({**me, "url": client.context.url}, output, table)


@click.group()
def context() -> None:
    """Which consoles are known."""


@context.command("list")
@output_option
def context_list(output: str) -> None:
    """List them. No token is printed."""
    chosen, known = contexts.read_all()
    rows = [
        {"name": name, "url": each.url, "workspace": each.workspace_name, "current": name == chosen}
        for name, each in known.items()
    ]
    heads = ("", "NAME", "URL", "WORKSPACE")
    lines = [("*" if row["current"] else "", row["name"], row["url"], row["workspace"]) for row in rows]
    show(
        rows,
        output,
        lambda: print_table(heads, lines, empty="No console is known. Sign in with: airdeck login URL"),
    )


@context.command("use")
@click.argument("name")
def context_use(name: str) -> None:
    """Work with this one from now on."""
    _, known = contexts.read_all()
    if name not in known:
        raise CliError(f"There is no context {name}. List them with: airdeck context list", USAGE)
    contexts.write_all(name, known)
    click.echo(f"{known[name].url} is used from now on.")


@click.group()
def workspace() -> None:
    """Which Workspaces there are, and which one is meant."""


@workspace.command("list")
@output_option
@click.pass_obj
def workspace_list(at: Globals, /, output: str) -> None:
    """List the Workspaces that you reach."""
    client = at.client()
    rows = list(client.pages("/workspaces"))
    current = client.context.workspace_name
    heads = ("", "NAME", "ROLE", "ID")
    lines = [("*" if row["name"] == current else "", row["name"], row["role"], row["id"]) for row in rows]
    show(rows, output, lambda: print_table(heads, lines, empty="This token reaches no Workspace."))


@workspace.command("switch")
@click.argument("name")
@click.pass_obj
def workspace_switch(at: Globals, /, name: str) -> None:
    """Mean this Workspace from now on."""
    client = at.client()
    found = workspace_of(client, named=name)
    assert found is not None  # noqa: S101 - required
    chosen, known = contexts.read_all()
    label = at.context or chosen
    if label not in known or known[label].url != client.context.url:
        raise CliError("The console comes from the environment: set AIRDECK_WORKSPACE there.", USAGE)
    known[label] = replace(known[label], workspace=str(found["id"]), workspace_name=str(found["name"]))
    contexts.write_all(chosen, known)
    click.echo(f"The Workspace {found['name']} is meant from now on.")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what completes commands in your shell. In bash: eval "$(airdeck completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - one of the choices
    click.echo(found(ctx.find_root().command, {}, "airdeck", "_AIRDECK_COMPLETE").source())
