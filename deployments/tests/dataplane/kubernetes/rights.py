"""What docs/kubernetes.md has an operator apply first: the console's account and its rights. And signing in as it."""

from dataclasses import replace
from pathlib import Path

import yaml
from django.conf import settings

from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.credentials import Credentials

RIGHTS = Path(settings.BASE_DIR) / "deploy" / "kubernetes" / "airdeck-clusterrole.yaml"
TOKEN_SECONDS = 4 * 3600


def with_shipped_rights(api: Api, credentials: Credentials) -> Credentials:
    """The account of the shipped ClusterRole, which is applied: what it may not do, the driver cannot."""
    for document in yaml.safe_load_all(RIGHTS.read_text()):
        meta = document["metadata"]
        path = path_of(document["apiVersion"], document["kind"], meta.get("namespace", ""), meta["name"])
        api.apply(path, document, "tests")
    return account(api, credentials, "airdeck", "airdeck")


def account(api: Api, credentials: Credentials, namespace: str, name: str) -> Credentials:
    """As that ServiceAccount, by a token of it."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    answer = api.create(path_of("v1", "ServiceAccount", namespace, name) + "/token", request, "a token")
    return replace(credentials, token=answer["status"]["token"], client_pem="")
