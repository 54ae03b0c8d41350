"""Version 1, which only ever grows: what is here keeps its address, its input and its answer."""

from ninja import NinjaAPI

from console.api import errors
from console.api.query_parameters import refuse_unknown
from console.kit.http_json import BodyParser
from deployments.api import (
    activity,
    alert_channels,
    alert_rules,
    alerts,
    clusters,
    deployments,
    deploys,
    files,
    git_sources,
    images,
    lifecycle,
    logs,
    queues,
    readings,
    registry_login,
    schedule,
    sign_in,
    task_logs,
    tokens,
    variable_imports,
    variable_revisions,
    variables,
    waiting,
)
from workspaces.api import tokens as workspace_tokens
from workspaces.api import workspaces

api = NinjaAPI(
    title="Airdeck",
    version="1",
    description="Everything that a person can do in the console, for programs. docs/api.md explains it.",
    urls_namespace="api",
    docs_url=None,
    openapi_url=None,
    parser=BodyParser(),
)
errors.register(api)
api.add_decorator(refuse_unknown, mode="operation")
for router in (
    workspaces.router,
    clusters.router,
    deployments.router,
    lifecycle.router,
    queues.router,
    variables.router,
    schedule.router,
    deploys.router,
    images.router,
    git_sources.router,
    logs.router,
    task_logs.router,
    activity.router,
    readings.router,
    registry_login.router,
    alerts.router,
    alert_rules.router,
    alert_channels.router,
    waiting.router,
    sign_in.router,
    files.router,
    variable_imports.router,
    variable_revisions.router,
    workspace_tokens.router,
    tokens.router,
):
    api.add_router("", router)
