"""What a data plane does with an image of a Deployment's own. A part of the driver contract, as `code` is: every method
is bounded as those of the driver are, and raises DataPlaneError when it cannot be done now. Long work runs in the data
plane and is waited for over several calls.
"""

from dataclasses import dataclass, field
from typing import Protocol

from deployments.dataplane.contract import DataPlaneError
from deployments.domain.spec import RuntimeSpec, Secrets


class ImageRefused(DataPlaneError):
    """This image cannot run the Deployment, and trying again does not help. `str()` says why, and what to do."""


@dataclass(frozen=True, repr=False)
class ImageWish:
    """An image to look at: `reference` as a person wrote it (`image_reference`), for a Deployment on `runtime`.
    `secrets` hold the login of its registry: no repr. `key` names the wish: the work of one key is done once."""

    key: str
    reference: str
    runtime: RuntimeSpec
    secrets: Secrets = field(repr=False)


@dataclass(frozen=True)
class ImageLook:
    """How far looking is: `pinned` is the image by its digest once it was found fit, until then "" and `waiting` says
    what is waited for, in a sentence. `airflow` and `python` are the versions in it."""

    pinned: str = ""
    airflow: str = ""
    python: str = ""
    waiting: str = ""


class ImageChecker(Protocol):
    """Looks at images for one Deployment in its data plane."""

    def look(self, wish: ImageWish) -> ImageLook:
        """Have the image pulled and started as Airflow's parts start it: it must have Airflow of the runtime's minor
        release and metadata database, run as user 50000, and import what Airdeck adds. Begins the work when it is not
        done; however often asked for with one key, it runs once. Changes nothing that runs. Raises ImageRefused."""

    def forget(self) -> None:
        """Remove what looking left behind, of whichever wish. Already gone is success."""
