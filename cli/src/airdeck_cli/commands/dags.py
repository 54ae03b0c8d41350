"""airdeck dag list and errors: what Airdeck last read from an Airflow, which it does once a minute."""

from typing import Any

import click

from airdeck_cli.errors import FAILED, CliError
from airdeck_cli.finding import deployment_argument, find_deployment
from airdeck_cli.groups import Group
from airdeck_cli.output import clean, moment, note, output_option, print_table, show
from airdeck_cli.session import Globals

STATES = ["failed", "running", "succeeded", "never", "paused", "broken"]  # as the API has them
HEADS = ("DAG", "SCHEDULE", "LAST RUN", "STATE", "TOOK", "NEXT RUN", "")


@click.group(cls=Group)
def dag() -> None:
    """The DAGs of a Deployment, as they were last read."""


@dag.command("list")
@deployment_argument
@click.option("-k", "--keyword", default="", help="A part of the name, the DAG id or the file.")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only those whose last run is so.")
@output_option
@click.pass_obj
def dag_list(
    at: Globals, /, deployment: str, named: str, keyword: str, state: str | None, output: str
) -> None:
    """List the DAGs with their last and their next run."""
    client = at.client()
    found = find_deployment(client, deployment, named)
    query = {"q": keyword, "state": state or ""}
    rows = list(client.pages(f"/deployments/{found['release_name']}/dags", **query))
    narrowed = keyword or state
    empty = f"No DAG of {found['name']} matches." if narrowed else f"{found['name']} has no DAGs so far."
    show(rows, output, lambda: print_table(HEADS, [_line(row) for row in rows], empty=empty))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    last = row["runs"][-1] if row["runs"] else None
    marks = {"paused": row["paused"], "does not import": row["import_error"]}
    return (
        row["dag_id"],
        row["schedule"],
        moment(last["run_after"]) if last else "",
        last["state"] if last else "",
        _took(last["seconds"]) if last else "",
        moment(row["next_run_at"]),
        ", ".join(mark for mark, holds in marks.items() if holds),
    )


def _took(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


@dag.command("errors")
@deployment_argument
@output_option
@click.pass_obj
def dag_errors(at: Globals, /, deployment: str, named: str, output: str) -> None:
    """List the files that do not import, each with the last line of why.

    Ends with 1 when there are any.
    """
    client = at.client()
    found = find_deployment(client, deployment, named)
    figures = client.get(f"/deployments/{found['release_name']}/figures", span="1h")
    now = figures["now"]
    if now is None:
        why = f" {clean(figures['problem'])}" if figures["problem"] else ""
        raise CliError(f"The Airflow of {found['name']} was not read so far.{why}", FAILED)
    rows, count = now["import_errors"], now["import_error_count"]
    empty = f"Every file imports. Read at {figures['read_at'][11:19]} UTC."
    lines = [(row["file"], row["line"]) for row in rows]
    show(rows, output, lambda: print_table(("FILE", "LAST LINE"), lines, empty=empty))
    if count > len(rows):
        note(f"The first {len(rows)} of {count} are listed.")
    if count:
        many = f"{count} files do" if count > 1 else "1 file does"
        raise CliError(f"{many} not import. Read at {figures['read_at'][11:19]} UTC.", FAILED)
