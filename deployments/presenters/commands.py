"""What a form does, as a line of the command line `airdeck`. Never a secret, and nothing that a shell reads as more
than a word. Pure."""

import shlex
from collections.abc import Mapping

FLAGS = {
    "description": "-d",
    "runtime": "-v",
    "cluster": "-c",
    "executor": "-e",
    "scheduler_au": "-s",
    "scheduler_replicas": "-r",
    "worker_type": "-t",
    "min_workers": "--min-count",
    "max_workers": "--max-count",
    "concurrency": "--concurrency",
}
OF_CELERY = ("worker_type", "min_workers", "max_workers", "concurrency")


def create_line(values: Mapping[str, object], defaults: Mapping[str, object]) -> str:
    """Creating what a form holds. A default is left out."""
    words = ["airdeck", "deployment", "create", "-n", _word(values.get("name")) or "NAME"]
    return _line([*words, *_differing(values, defaults)])


def update_line(release_name: str, values: Mapping[str, object], now: Mapping[str, object]) -> str:
    """Changing what differs from what there is now."""
    words = ["airdeck", "deployment", "update", release_name]
    name = _word(values.get("name"))
    if name and name != _word(now.get("name")):
        words += ["--name", name]
    return _line([*words, *_differing(values, now)])


def load_variables(release_name: str) -> str:
    """Taking variables out of a `.env` file."""
    return _line(["airdeck", "deployment", "variable", "set", "--load", "--env", ".env", "-d", release_name])


def deploy(release_name: str) -> str:
    """Deploying the DAGs of the folder that one is in."""
    return _line(["airdeck", "deploy", "-d", release_name, "--wait"])


def connect_git(release_name: str, address: str) -> str:
    """Connecting a Git repository, or changing what is followed."""
    return _line(["airdeck", "git", "connect", _word(address) or "ADDRESS", "-d", release_name])


def deploy_image(release_name: str) -> str:
    """Deploying an image."""
    return _line(["airdeck", "deploy", "-d", release_name, "--image", "IMAGE", "--wait"])


def _differing(values: Mapping[str, object], base: Mapping[str, object]) -> list[str]:
    celery = _word(values.get("executor")) == "celery"
    words = []
    for field, flag in FLAGS.items():
        if field not in values or (field in OF_CELERY and not celery):
            continue
        value = _word(values[field])
        if value != _word(base.get(field)) and (value or field == "description"):
            words += [flag, value]
    return words


def _word(value: object) -> str:
    """On one line: a command that spans lines is not copied whole."""
    return " ".join(str(value if value is not None else "").split())


def _line(words: list[str]) -> str:
    return shlex.join(words)
