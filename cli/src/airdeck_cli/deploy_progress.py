"""Following a deploy to its end, with what is wrong in its files when it fails."""

from typing import Any

from airdeck_cli.client import Client
from airdeck_cli.errors import FAILED, CliError
from airdeck_cli.following import follow

UNDER_WAY = {"received", "checking", "building", "activating"}


def follow_deploy(
    client: Client, release_name: str, number: int, operation: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """The operation of the deploy of this number, at its end. Raises CliError as `follow`, with what is wrong in
    files."""
    try:
        return follow(client, operation, seconds)
    except CliError as failed:
        if failed.exit_code == FAILED:
            failed.errors = file_problems(client, release_name, number)
        raise


def file_problems(client: Client, release_name: str, number: int) -> dict[str, str]:
    """What is wrong with files of a deploy, by path and line."""
    return problems_of(client.get(f"/deployments/{release_name}/deploys/{number}"))


def problems_of(one: dict[str, Any]) -> dict[str, str]:
    """The same of a deploy that was asked for already."""
    return {
        f"{each['path']}:{each['line']}" if each["line"] else each["path"]: each["error"]
        for each in [*one["syntax_problems"], *one["import_problems"]]
    }
