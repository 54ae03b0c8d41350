"""The words for what a deploy can be, and its steps. One vocabulary for rows, pages and docs. Pure."""

from enum import StrEnum

from deployments.domain.states import Appearance

DESCRIPTION_LENGTH = 500
DESCRIPTION_TOO_LONG = f"Enter at most {DESCRIPTION_LENGTH} characters."


def description_problem(text: str) -> str:
    """Why this cannot be what a person says of a deploy, or ""."""
    return DESCRIPTION_TOO_LONG if len(text) > DESCRIPTION_LENGTH else ""


class DeployStatus(StrEnum):
    """Where a deploy stands. The first three wait: a newer deploy takes their place."""

    RECEIVED = "received"
    CHECKING = "checking"
    BUILDING = "building"
    ACTIVATING = "activating"
    DEPLOYED = "deployed"
    FAILED = "failed"
    SUPERSEDED = "superseded"

    @property
    def label(self) -> str:
        """The word on the badge."""
        return self.value.capitalize()


WAITING = (DeployStatus.RECEIVED, DeployStatus.CHECKING, DeployStatus.BUILDING)
UNDER_WAY = (*WAITING, DeployStatus.ACTIVATING)
# What is desired: the newest of these is what the Deployment runs, or will run.
DESIRED = (*UNDER_WAY, DeployStatus.DEPLOYED)


class DeploySource(StrEnum):
    """Where the code of a deploy came from."""

    UPLOAD = "upload"
    FOLDER = "folder"
    ROLLBACK = "rollback"
    EXAMPLE = "example"
    GIT = "git"
    IMAGE = "image"

    @property
    def label(self) -> str:
        """As the list says it."""
        words = {"folder": "DAGs folder", "rollback": "Roll back"}
        return words.get(self.value, self.value.capitalize())


class PackagesState(StrEnum):
    """How far finding out is what a requirements.txt comes to."""

    RESOLVING = "resolving"
    RESOLVED = "resolved"
    REFUSED = "refused"

    @property
    def label(self) -> str:
        """As the admin says it."""
        return self.value.capitalize()


# The steps of a deploy, in order: key and title. That of packages is there when it has a requirements.txt, that of the
# image when it changes the image.
CHECKED, IMAGE, PACKAGES, BUILT, ACTIVATED, READ = (
    "checked",
    "image",
    "packages",
    "built",
    "activated",
    "read",
)
STEPS = (
    ("received", "Received"),
    (CHECKED, "Checked"),
    (IMAGE, "Image"),
    (PACKAGES, "Packages"),
    (BUILT, "Built"),
    (ACTIVATED, "Activated"),
    (READ, "Read by Airflow"),
)

DEPLOY_APPEARANCE: dict[DeployStatus, Appearance] = {
    DeployStatus.RECEIVED: Appearance("busy", "loader-circle"),
    DeployStatus.CHECKING: Appearance("busy", "loader-circle"),
    DeployStatus.BUILDING: Appearance("busy", "loader-circle"),
    DeployStatus.ACTIVATING: Appearance("busy", "refresh-cw"),
    DeployStatus.DEPLOYED: Appearance("ok", "circle-check"),
    DeployStatus.FAILED: Appearance("bad", "octagon-x"),
    DeployStatus.SUPERSEDED: Appearance("off", "archive"),
}
