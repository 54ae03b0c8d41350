"""Taking variables out of a `.env` file, as the page of variables does: it adds and overwrites, and removes nothing."""

from django.http import HttpResponse
from ninja import Router, Schema, Status

from console.kit.http_json import NOT_FLAG, NOT_TEXT, Flag, Input, Text, form_data
from console.kit.refusals import InvalidInput
from deployments.actions.refusals import FileRefused
from deployments.actions.variables import apply_dotenv, latest_revision
from deployments.api import answers
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.schemas import OperationOut
from deployments.domain.dotenv import parse
from deployments.domain.variables import difference, merged
from deployments.secrets import vault
from workspaces.permissions import Permission

router = Router(tags=["Variables"])


class DotenvIn(Input):
    """The text of a `.env` file. New variables are secret with `secret`; those that exist stay plain or secret."""

    text: Text
    secret: Flag = False


class Imported(Schema):
    """The names of what was added and overwritten, and of what was so already. `operation` is null when nothing
    changed."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    operation: OperationOut | None


@router.post(
    "/deployments/{slug:release_name}/variable-import",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Imported, 202: Imported},
    url_name="variable_import",
    operation_id="import_variables",
)
def import_variables(
    request: DeploymentRequest, release_name: str, payload: DotenvIn, response: HttpResponse
) -> Status[Imported]:
    """Take all variables of a `.env` file, or none: when a line is refused, each such line has its sentence."""
    deployment, before = request.deployment, request.deployment.generation
    typed = form_data(payload, texts=("text",))
    problems = dict(typed.problems)
    if not isinstance(payload.secret, bool):
        problems["secret"] = NOT_FLAG
    if not isinstance(payload.text, str):
        problems["text"] = NOT_TEXT
    if problems:
        raise InvalidInput(problems)
    base = latest_revision(deployment)
    current = vault.variables_of(deployment)
    parsed = parse(payload.text)
    desired, refused = merged(current, parsed.entries, secret=payload.secret)
    if lines := sorted([*parsed.refusals, *refused], key=lambda each: each.line):
        raise FileRefused({f"line {each.line}": each.reason for each in lines[:100]})
    found = difference(current, desired)
    apply_dotenv(
        deployment=deployment,
        by=request.caller.user,
        entries=parsed.entries,
        secret=payload.secret,
        base=base,
    )
    status = answers.changed(deployment, before, "change", response)
    named = {entry.key for entry in parsed.entries}
    body = Imported(
        added=[each.key for each in found.added],
        changed=[each.key for each in found.changed],
        unchanged=[key for key in found.unchanged if key in named],
        operation=status.value.operation,
    )
    return Status(status.status_code, body)
