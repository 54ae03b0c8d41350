"""Rows of everything that converges. Desired state is written by `actions`, observed state by `reconciler`."""

from deployments.models.alerts import Alert, AlertChannel, AlertDelivery, AlertRule, AlertSilence
from deployments.models.clusters import Cluster, RuntimeRelease, WorkerType
from deployments.models.configuration import EnvironmentVariable, HibernationSchedule, VariableRevision
from deployments.models.deployment import (
    UNKNOWN_AFTER,
    Deployment,
    DeploymentSecret,
    ReleaseName,
    WorkerQueue,
)
from deployments.models.deploys import UPLOAD_LIFE, CodeManifest, CodeUpload, Deploy, DeployStep
from deployments.models.git_sources import GitSource
from deployments.models.observed import ComponentStatus, StatusChange, Step, StepTiming
from deployments.models.packages import PackageSet
from deployments.models.readings import Dag, FailedRun, HourlyFigures, LatestReading, MinuteFigures
from deployments.models.sign_in import AirflowSignOut
from deployments.models.words import choices

__all__ = [
    "UNKNOWN_AFTER",
    "UPLOAD_LIFE",
    "AirflowSignOut",
    "Alert",
    "AlertChannel",
    "AlertDelivery",
    "AlertRule",
    "AlertSilence",
    "Cluster",
    "CodeManifest",
    "CodeUpload",
    "ComponentStatus",
    "Dag",
    "Deploy",
    "DeployStep",
    "Deployment",
    "DeploymentSecret",
    "EnvironmentVariable",
    "FailedRun",
    "GitSource",
    "HibernationSchedule",
    "HourlyFigures",
    "LatestReading",
    "MinuteFigures",
    "PackageSet",
    "ReleaseName",
    "RuntimeRelease",
    "StatusChange",
    "Step",
    "StepTiming",
    "VariableRevision",
    "WorkerQueue",
    "WorkerType",
    "choices",
]
