"""What a Deployment is, as options of the commands that create and change one."""

from typing import Any

import click

from airdeck_cli.following import Command


def settings_options(function: Command) -> Command:
    """What a Deployment is, with Astro's names."""
    options = (
        click.option("--description", "-d", "description", help="What it is for."),
        click.option(
            "-e", "--executor", help="celery, kubernetes or local, as far as the cluster offers it."
        ),
        click.option("-s", "--scheduler-au", type=int, help="Size of a scheduler in AU."),
        click.option(
            "-r",
            "--scheduler-count",
            "--scheduler-replicas",
            "scheduler_replicas",
            type=int,
            help="How many schedulers.",
        ),
        click.option("-t", "--worker-type", help="Worker type of the queue default."),
        click.option(
            "--min-count", "min_workers", type=int, help="Minimum number of workers of the queue default."
        ),
        click.option(
            "--max-count", "max_workers", type=int, help="Maximum number of workers of the queue default."
        ),
        click.option(
            "--concurrency", type=int, help="Tasks that one worker of the queue default runs at once."
        ),
        click.option(
            "--wake-when-opened/--no-wake-when-opened",
            default=None,
            help="Any member who opens its Airflow while it hibernates wakes it up.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def given(values: dict[str, Any]) -> dict[str, Any]:
    """What was given of it, as the API has it."""
    found = {name: value for name, value in values.items() if value is not None}
    if "executor" in found:
        found["executor"] = str(found["executor"]).lower().removesuffix("executor")
    return found
