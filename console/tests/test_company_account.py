"""Runs `company_account_story.py` under settings that name a provider: they are read when Django starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.tests.oidc_provider import CLIENT, SECRET

STORY = Path(__file__).with_name("company_account_story.py")


@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_the_company_account_signs_in_and_says_what_is_wrong():
    named = {"OIDC_URL": "http://127.0.0.1:9", "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET}
    # What conftest sets is for this process: Django would read its settings before its own servers run.
    ours = ("PYTEST_", "DATABASE", "REDIS", "DJANGO_SETTINGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(STORY)]
    done = subprocess.run(
        command, env={**kept, **named}, cwd=STORY.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_without_a_provider_there_is_no_such_address(client):
    assert client.get("/accounts/oidc/company/login/").status_code == 404
