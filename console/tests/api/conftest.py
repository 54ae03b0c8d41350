"""Programs with tokens, beside the cast of people."""

import json

import pytest
from django.test import Client

from workspaces import hooks
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.api.auth import buckets
from workspaces.models import ApiToken
from workspaces.permissions import Role


@pytest.fixture(autouse=True)
def _full_buckets():
    """Each test begins with all requests that a token may make at once."""
    buckets.clear()


class Program:
    """A program with a token, or without one."""

    def __init__(self, value: str, token: ApiToken | None = None) -> None:
        self.value, self.token = value, token
        self.client = Client(headers={"Authorization": f"Bearer {value}"} if value else {})

    def ask(self, method: str, path: str, body=None, *, status: int | None = None, **headers):
        """The response to a JSON request; headers by name with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        text = "" if body is None else json.dumps(body)
        more = {} if method == "get" else {"data": text, "content_type": "application/json"}
        response = getattr(self.client, method)(f"/api/v1{path}", headers=sent, **more)
        if status is not None:
            assert response.status_code == status, (response.status_code, response.content[:500])
        return response

    def get(self, path: str, *, status: int = 200, **headers):
        return self.ask("get", path, status=status, **headers).json()


def code(response) -> tuple[int, str]:
    """The status of a refusal and its code."""
    return response.status_code, response.json()["code"]


@pytest.fixture
def program(workspace):
    """A program with a token of this maker: of the Workspace, of a Deployment, or personal."""

    def make(maker, role: Role = Role.ADMIN, *, deployment=None, personal=False, name="ci-deploy", days=90):
        scope = Scope(None) if personal else Scope(workspace)
        if deployment is not None:
            found = hooks.content_of("deployment").find(deployment.workspace_id, deployment.pk)
            scope = Scope(deployment.workspace, "deployment", found)
        made = tokens.make(scope=scope, by=maker, wish=TokenWish(name, "", role, days))
        return Program(made.value, made.token)

    return make
