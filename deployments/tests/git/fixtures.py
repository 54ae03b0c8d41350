"""A repository, the servers that serve it, and loopback allowed by the operator's list."""

import pytest

from deployments.domain.public_hosts import REPOSITORIES, Listed
from deployments.tests.git.repositories import Repository
from deployments.tests.git.servers import HttpsServer, SshServer

DAG = b"from airflow.sdk import DAG\n"
FILES = {"README.md": b"# Hi\n", "dags/one.py": DAG, "dags/lib/help.py": b"X = 1\n"}


@pytest.fixture
def loopback(monkeypatch) -> None:
    """The operator lists it."""
    monkeypatch.setattr(REPOSITORIES, "listed", Listed.of(["127.0.0.0/8"]))


@pytest.fixture
def repository(tmp_path) -> Repository:
    """One commit of FILES on main."""
    made = Repository(tmp_path / "served" / "dags.git")
    made.first = made.commit(FILES, subject="The first DAG")
    return made


@pytest.fixture
def https(tmp_path, repository, loopback, monkeypatch):
    """Its server over HTTPS, of an authority that is trusted."""
    server = HttpsServer(tmp_path / "served", token="")
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    yield server
    server.close()


@pytest.fixture
def ssh(tmp_path, repository, loopback):
    """Its server over SSH."""
    server = SshServer(tmp_path / "served")
    yield server
    server.close()
