"""The steps of creating, changing, sleeping and deleting, as the page lists them."""

from deployments.dataplane.contract import StepName
from deployments.dataplane.local.steps import upgrade

CREATE_STEPS = (
    ("database", "Database"),
    (upgrade.STEP, "Upgrade the metadata database"),  # only when there is one
    ("configuration", "Secrets and configuration"),
    ("components", "Airflow components"),
    ("address", "Airflow UI"),
)
ASLEEP_STEP = StepName("sleep", "Stop Airflow")
DELETE_STEPS = (
    StepName("processes", "Processes"),
    StepName("database", "Database"),
    StepName("role", "Database role"),
    StepName("files", "Files"),
)
