"""airdeck login, logout, whoami, context, completion."""

import click

from airdeck_cli import contexts, secret_input
from airdeck_cli.client import Client
from airdeck_cli.contexts import Context
from airdeck_cli.errors import NOT_ALLOWED, USAGE, CliError
from airdeck_cli.groups import Group
from airdeck_cli.output import is_terminal, note, output_option, print_table, show
from airdeck_cli.session import Globals

SIGN_IN = "adk_s_"  # how a token begins that a sign-in gave


@click.command()
@click.argument("url", default="")
@click.option("--no-browser", is_flag=True, help="Open no browser; only show the address and the code.")
@click.option("--token-stdin", is_flag=True, help="Keep the API token that standard input has instead.")
@click.option("--name", default="", help="What to call this console; by default its host.")
@click.pass_obj
def login(at: Globals, /, url: str, no_browser: bool, token_stdin: bool, name: str) -> None:
    """Sign in to a console, by confirming a code in a browser.

    The browser may be on another device. What signs you in is kept for 30 days, in a file that only you can read. With
    --token-stdin an API token that was created in the console is kept instead.
    """
    chosen, known = contexts.read_all()
    address = contexts.clean_url(url) if url else known[chosen].url if chosen in known else ""
    if not address:
        raise CliError("Name the console: airdeck login https://airdeck.example.org", USAGE)
    warn_of_clear_text(address)
    label = name or address.partition("://")[2]
    if token_stdin:
        token = secret_input.typed("API token", first_line=True).strip()
        contexts.check_token(token)
    elif is_terminal():
        from airdeck_cli.device import sign_in

        token = sign_in(Client(Context(address), ca=at.ca, debug=at.debug), browser=not no_browser)
    else:
        raise CliError(
            "There is no terminal to ask at. Pipe an API token in with --token-stdin, or set AIRDECK_TOKEN.",
            USAGE,
        )
    me = Client(Context(address, token), ca=at.ca, debug=at.debug).get("/me")
    place = me["token"]["workspace"] or {}
    earlier = known.get(label)
    known[label] = Context(address, token, str(place.get("id", "")), str(place.get("name", "")))
    contexts.write_all(label, known)
    click.echo(f"Signed in to {address} as {me['email']} with the token {me['token']['name']}.")
    note(f"The token is kept in {contexts.folder() / 'contexts.json'}, which only you can read.")
    if earlier is not None and earlier.url == address and earlier.token != token:
        try:
            _end_sign_in(at, earlier)
        except CliError as broken:
            note(f"The earlier sign-in could not be ended: {broken}")


def _end_sign_in(at: Globals, context: Context) -> str:
    """Revoke what a sign-in gave; a token that was created in the console stays. What became of it, as a sentence.
    Raises CliError when the console cannot be asked."""
    if not context.token.startswith(SIGN_IN):
        return "Its API token stays valid until you revoke it in the console."
    try:
        Client(context, ca=at.ca, debug=at.debug).send("DELETE", "/me/token")
    except CliError as refused:
        if refused.exit_code == NOT_ALLOWED:
            return "It was signed out already."
        raise
    return "It is signed out."


def warn_of_clear_text(url: str) -> None:
    """A token sent in the clear can be read on the network."""
    host = url.partition("://")[2].split("/")[0].rpartition(":")[0] or url.partition("://")[2]
    if (
        url.startswith("http:")
        and host not in {"localhost", "127.0.0.1", "[::1]"}
        and not host.endswith(".localhost")
    ):
        note(f"Warning: {url} is not encrypted. Anyone on the network can read the token.")


@click.command()
@click.argument("name", default="")
@click.option("--forget", is_flag=True, help="Forget it even if the console cannot be reached.")
@click.pass_obj
def logout(at: Globals, /, name: str, forget: bool) -> None:
    """Sign out of a console and forget it. An API token that was created there stays valid."""
    chosen, known = contexts.read_all()
    label = name or at.context or chosen
    if label not in known:
        raise CliError(
            f"There is no context {label}." if label else "You are not signed in to any console.", USAGE
        )
    try:
        ended = _end_sign_in(at, known[label])
    except CliError as broken:
        if not forget:
            raise CliError(
                f"{broken} The sign-in stays valid, so it is kept; --forget forgets it here alone.",
                broken.exit_code,
            ) from None
        ended = "Its sign-in stays valid: revoke it in the console, under Account, API tokens."
    del known[label]
    contexts.write_all(next(iter(known), "") if label == chosen else chosen, known)
    click.echo(f"Forgot {label}. {ended}")


@click.command()
@output_option
@click.pass_obj
def whoami(at: Globals, /, output: str) -> None:
    """Who you are signed in as, with which token, and until when."""
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


@click.group(cls=Group)
def context() -> None:
    """The consoles that are known here."""


@context.command("list")
@output_option
def context_list(output: str) -> None:
    """List the consoles. No token is printed."""
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
    """Use this console from now on."""
    _, known = contexts.read_all()
    if name not in known:
        raise CliError(f"There is no context {name}. List them with: airdeck context list", USAGE)
    contexts.write_all(name, known)
    click.echo(f"{known[name].url} is used from now on.")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for your shell. In bash: eval "$(airdeck completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - one of the choices
    click.echo(found(ctx.find_root().command, {}, "airdeck", "_AIRDECK_COMPLETE").source())
