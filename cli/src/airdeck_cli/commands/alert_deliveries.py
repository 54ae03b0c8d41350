"""airdeck alert deliveries, resend."""

import time
from typing import Any

import click

from airdeck_cli.client import Client, look
from airdeck_cli.errors import FAILED, TIMED_OUT, USAGE, CliError
from airdeck_cli.finding import workspace_option, workspace_place
from airdeck_cli.following import wait_options
from airdeck_cli.output import clean, count_option, moment, output_option, show, show_newest
from airdeck_cli.session import Globals

PAUSE = 1.0  # seconds between two questions
Delivery = dict[str, Any]


@click.command()
@click.option("--channel", default="", help="Only what was sent to the channel of this name or id.")
@count_option
@workspace_option
@output_option
@click.pass_obj
def deliveries(at: Globals, /, channel: str, count: int, workspace: str, output: str) -> None:
    """List what was sent within the last 30 days, the newest first, and what came back."""
    client = at.client()
    place, name = workspace_place(client, workspace)
    pages = client.pages(f"{place}/alert-deliveries", **({"channel": channel} if channel else {}))
    heads = ("SENT", "CHANNEL", "TO", "MESSAGE", "STATE", "STATUS", "ANSWER", "ID")

    def line(row: Delivery) -> tuple[Any, ...]:
        when = moment(row["tried_at"] or row["created_at"])
        came = (row["state"], row["status"] or "", row["answer"])
        return (when, row["channel"], row["address"], row["title"], *came, row["id"])

    empty = f"Nothing was sent about {name} within the last 30 days."
    show_newest(pages, count, output, heads, line, empty=empty)


@click.command()
@click.argument("delivery")
@wait_options(60)
@workspace_option
@output_option
@click.pass_obj
def resend(at: Globals, /, delivery: str, wait: bool, wait_time: int, workspace: str, output: str) -> None:
    """Send the message of this DELIVERY (its id) once more, also one that arrived.

    With --wait it ends with what came back.
    """
    client = at.client()
    place, _ = workspace_place(client, workspace)
    shows = look("airdeck alert deliveries", workspace=workspace)
    try:
        sent = client.send("POST", f"{place}/alert-deliveries/{delivery}/again", lost=shows).body
    except CliError as refused:
        if refused.status != 404:
            raise
        raise CliError(
            f"There is no delivery {delivery}. List them with: airdeck alert deliveries", USAGE
        ) from None
    if wait:
        sent = _until_tried(client, place, sent, wait_time)
    show(sent, output, lambda: click.echo(_sentence(sent)))
    if sent["state"] == "failed":
        raise CliError(f"It did not arrive at {clean(sent['address'])}.", FAILED)


def _sentence(sent: Delivery) -> str:
    what, where = clean(sent["title"]), clean(sent["address"])
    if sent["state"] == "queued":
        return f"“{what}” goes to {where} once more. See what comes back with: airdeck alert deliveries"
    came = f"was sent to {where}." if sent["state"] == "sent" else f"to {where}: {sent['state']}."
    return f"“{what}” {came} {clean(sent['answer'])}".rstrip()


def _until_tried(client: Client, place: str, sent: Delivery, seconds: int) -> Delivery:
    """The delivery once it is not on its way. Raises CliError when time is up."""
    deadline, found = time.monotonic() + seconds, sent
    where = f"{place}/alert-deliveries"
    while found["state"] == "queued":
        if time.monotonic() >= deadline:
            why = clean(found["answer"])
            raise CliError(
                f"It was not sent within {seconds} s. Airdeck keeps trying. {why}".rstrip(), TIMED_OUT
            )
        time.sleep(PAUSE)
        rows = client.pages(where, channel=sent["channel"])
        found = next((row for row in rows if row["id"] == sent["id"]), found)
    return found
