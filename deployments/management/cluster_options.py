"""What the commands about clusters share: options that say how a cluster is reached, and the report."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from deployments.actions.clusters import DOCUMENTS, ClusterConnection
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api import credentials
from deployments.dataplane.kubernetes.api.credentials import Credentials

LARGEST = 1024 * 1024  # bytes of any file that these options name
MARKS = {"ok": "ok", "warning": "warning", "missing": "MISSING", "unchecked": "not checked"}
# Option -> setting, for those that have an option of their own; --set takes the others.
OPTIONS = {
    "ingress_domain": "Airflow answers at https://<release name>.DOMAIN",
    "ingress_class": "the IngressClass; without it the cluster's default",
    "namespace_prefix": "put before each namespace",
    "image_prefix": "a registry that mirrors images",
}


def add_options(parser: ArgumentParser) -> None:
    """The options of register_cluster that say how the cluster is reached."""
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="credentials: inline certificates or a token only"
    )
    parser.add_argument(
        "--context", default="", help="a context of the kubeconfig; by default its current one"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        default="",
        help="with --kubeconfig: a file that holds the token, read again every minute, in place of one in it. "
        "Web, workers and observers need it at this path",
    )
    parser.add_argument(
        "--in-cluster", action="store_true", help="the service account that this process runs as"
    )
    parser.add_argument(
        "--database-url",
        metavar="URL",
        help="the primary Postgres, as pods reach it too; “-” reads it from standard input. A password in the argument "
        "list can be read by every process of the machine: better give --database-url-file",
    )
    parser.add_argument("--database-url-file", metavar="FILE", help="a file that holds the URL")
    for name, what in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=what)
    parser.add_argument(
        "--image-pull-secret", metavar="FILE", help="a dockerconfigjson file by which images are pulled"
    )
    parser.add_argument(
        "--log-bucket",
        metavar="FILE",
        help="a JSON file that names a bucket of S3-compatible storage for logs of tasks (docs/kubernetes.md)",
    )
    parser.add_argument(
        "--keda", action="store_true", default=None, help="let KEDA scale the workers where it is"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another setting (docs/kubernetes.md)",
    )


def reach_of(options: Mapping[str, Any]) -> ClusterConnection:
    """What the options say. Raises CommandError."""
    return ClusterConnection(
        credentials_of(options), database_url_of(options), settings_of(options), options["moved"]
    )


def credentials_of(options: Mapping[str, Any]) -> Credentials | None:
    """Out of the kubeconfig, or of this pod; None when neither was named."""
    if options["in_cluster"] and options["kubeconfig"]:
        raise CommandError("Give --kubeconfig or --in-cluster, not both.")
    if options["token_file"] and not options["kubeconfig"]:
        raise CommandError("--token-file goes with --kubeconfig, which says where the API server is.")
    try:
        if options["in_cluster"]:
            return credentials.in_cluster(os.environ)
        if options["kubeconfig"]:
            return credentials.parse(_text(options["kubeconfig"]), options["context"], options["token_file"])
    except DataPlaneError as error:
        raise CommandError(str(error)) from None
    return None


def database_url_of(options: Mapping[str, Any]) -> str | None:
    """The URL, from wherever it was given."""
    if options["database_url_file"]:
        return _text(options["database_url_file"]).strip()
    if options["database_url"] == "-":
        return sys.stdin.readline().strip()
    url: str | None = options["database_url"]
    return url


def settings_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Only what was given."""
    found = {name: options[name] for name in OPTIONS if options[name] is not None}
    for name in DOCUMENTS:
        if options[name]:
            found[name] = _text(options[name])
    if options["keda"]:
        found["keda"] = "true"
    for pair in options["set"]:
        name, mark, value = pair.partition("=")
        if not mark:
            raise CommandError("--set takes NAME=VALUE.")
        found[name.strip()] = value
    return found


def report(rows: Iterable[Mapping[str, str]]) -> str:
    """One line per check: its state, what it is, the sentence."""
    return "\n".join(f"{MARKS[row['state']]:<12}{row['title']}: {row['sentence']}" for row in rows)


def _text(path: str) -> str:
    try:
        if Path(path).stat().st_size > LARGEST:
            raise CommandError(f"{path} is larger than 1 MiB. Is it the right file?")
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}."
        ) from None
