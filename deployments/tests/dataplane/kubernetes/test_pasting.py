"""The first step of docs/kubernetes.md, as a page shows it, pasted at once into a shell before a real API server
(KUBECONFIG_TEST): what it writes is a kubeconfig that Airdeck takes, of an account with the rights that it needs."""

import os
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from markdown_it import MarkdownIt

from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.api.credentials import parse
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.tests.dataplane.kubernetes import strict
from deployments.tests.dataplane.kubernetes.harness import real_kubeconfig

pytestmark = [
    strict.needs_one,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH"),
]


def first_step() -> str:
    text = (Path(settings.BASE_DIR) / "docs" / "kubernetes.md").read_text()
    part = text.partition("## 1. ")[2].partition("## 2. ")[0]
    return "".join(token.content for token in MarkdownIt().parse(part) if token.type == "code_block")


def test_the_first_step_makes_a_kubeconfig_that_airdeck_takes(tmp_path):
    (tmp_path / "deploy").symlink_to(Path(settings.BASE_DIR) / "deploy")
    (tmp_path / "operator").write_text(real_kubeconfig())
    shell = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "operator")}
    forget = ["kubectl", "-n", "airdeck", "delete", "secret", "airdeck-token", "--ignore-not-found"]
    try:
        for _ in range(2):  # pasted again it changes nothing
            done = subprocess.run(
                ["bash", "-eu"],
                input=first_step(),
                cwd=tmp_path,
                env=shell,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        written = tmp_path / "airdeck.kubeconfig"
        assert written.stat().st_mode & 0o777 == 0o600
        found = parse(written.read_text())
        with closing(Connection(found)) as connection:
            assert Api(connection, 10.0).items("/api/v1/namespaces")
    finally:
        subprocess.run(forget, env=shell, capture_output=True, check=False)
