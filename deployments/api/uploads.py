"""Whether a program may upload code, asked before a byte of it is read."""

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.http import Http404

from console.kit.problems import SENTENCES
from console.kit.refusals import ActionRefused
from console.kit.threads import Scope
from deployments.api.access import deployment_of
from workspaces.permissions import Permission
from workspaces.token_access import NotAuthenticated, authenticate, denial

type Refusal = tuple[int, str, str]


async def upload_refusal(scope: Scope) -> Refusal | None:
    """Why not, as status, code and sentence; None when it may."""
    value = ""
    for name, sent in scope["headers"]:
        if name == b"authorization":
            value = sent.decode("latin-1")
    release_name = scope["path"].split("/")[4]
    return await sync_to_async(_refusal, thread_sensitive=False)(value, release_name)


def _refusal(header: str, release_name: str) -> Refusal | None:
    scheme, _, value = header.partition(" ")
    try:
        if scheme.lower() != "bearer" or not value.strip():
            raise NotAuthenticated("token_missing", SENTENCES[401])
        caller = authenticate(value.strip())
        deployment = deployment_of(caller, release_name, alive=True)
        caller.require(caller.membership_in(deployment.workspace_id), Permission.DEPLOY_CODE)
    except ActionRefused as error:
        return error.status, error.code, error.sentence
    except Http404:
        return 404, "not_found", SENTENCES[404]
    except PermissionDenied as error:
        return 403, *denial(error)
    except DatabaseError:
        return 503, "unavailable", SENTENCES[503]
    finally:
        connection.close()
    return None
