"""Revisions of variables from a terminal."""

import pytest

from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]


def test_variables_go_back_to_a_revision_after_a_yes(airdeck, deployment, driver):
    settle(deployment)
    variable, at = ("deployment", "variable"), ("-d", "Analytics")
    assert "were never changed" in airdeck(*variable, "revisions", "Analytics").out
    airdeck(*variable, "set", "REGION=eu", *at)
    airdeck(*variable, "set", "REGION=us", "MORE=1", *at)
    listed = airdeck(*variable, "revisions", "Analytics").out.splitlines()
    assert listed[1].split()[0] == "2"
    assert "REGION" in listed[2]

    back = (*variable, "rollback", "1", *at)
    assert airdeck(*back, "--dry-run").out == "~ REGION\n- MORE\n"
    refused = airdeck(*back, code=2).err
    assert "~ REGION\n- MORE\n" in refused
    assert "Go back with --yes." in refused
    assert "REGION" in vault.variables_of(deployment)
    done = airdeck(*back, "--yes").out
    assert done.startswith("Revision 3 of the variables of Analytics is saved.\n")
    assert {key: each.value for key, each in vault.variables_of(deployment).items()} == {"REGION": "eu"}
    assert "has these variables already. There is nothing to do." in airdeck(*back, "--yes").out
    assert "There is no revision 9" in airdeck(*variable, "rollback", "9", *at, "--yes", code=2).err
