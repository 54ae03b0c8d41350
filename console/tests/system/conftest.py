"""One installation for the main job and for deploying code, which come one after the other in one process
(`console.tests.parallel`): a second one would install an Airflow again."""

from collections.abc import Iterator

import pytest

from console.tests.system.installation import Installation


@pytest.fixture(scope="session")
def shared() -> Iterator[Installation]:
    """An installation that runs. The last file that uses it closes it; so does the end of the run."""
    with Installation() as running:
        yield running
