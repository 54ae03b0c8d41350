"""Which test holds what a peer's users met: the 27 inputs of its deployment file that its own tests have, and 13 things
that people complained about. A test that is renamed or removed is missed here."""

import ast
from functools import cache
from pathlib import Path

import pytest
from django.utils import timezone

from deployments.models import Deployment
from deployments.secrets import vault

ROOT = Path(__file__).resolve().parents[2]
PEER = "deployments/tests/actions/test_peer_files.py"
FILES = "deployments/tests/actions/test_deployment_files.py"
LIFE, COMPLAINTS, PACKING, NETWORK, HERE = (
    f"cli/tests/test_{name}.py" for name in ("life", "complaints", "packing", "network", "peers")
)
WRONG_FILE = "test_a_wrong_file_says_everything_at_once_and_changes_nothing"
REFUSALS = "test_each_kind_of_refusal_has_its_exit_code_and_the_console_s_sentence"

# What astro-cli's tests feed to its deployment file, by number: the tests whose names begin so.
INPUTS = {
    1: [(LIFE, WRONG_FILE)],
    16: [(LIFE, "test_16_")],
    24: [
        (LIFE, "test_24_"),
        (NETWORK, "test_24_"),
        (NETWORK, "test_waiting_outlives_a_console_that_is_away_for_a_while"),
    ],
    25: [(FILES, "test_what_cannot_be_done_leaves_nothing_half_done"), (NETWORK, REFUSALS)],
    27: [(HERE, "test_27_")],
    **{number: [(PEER, f"test_{number}_")] for number in (*range(2, 16), *range(17, 24), 26)},
}
SYNTAX = "test_the_content_of_dags_is_packed_and_its_root_is_where_modules_are_imported_from"
ROUND_TRIP = "test_applying_what_inspect_wrote_changes_nothing"
COMPLAINED = {
    1: [
        (PACKING, "test_a_dirty_tree_is_noted_and_a_password_in_the_remote_is_not"),
        (HERE, "test_a_deploy_of_a_dirty_tree"),
    ],
    2: [(PACKING, "test_caches_environments_secrets_and_what_the_ignore_file_says_stay")],
    3: [(PACKING, "test_no_file_of_the_user_is_touched")],
    4: [(COMPLAINTS, "test_4_and_5_")],
    5: [(COMPLAINTS, "test_4_and_5_")],
    6: [
        (FILES, ROUND_TRIP),
        ("deployments/tests/domain/test_deployment_file.py", "test_what_inspect_writes"),
    ],
    7: [(COMPLAINTS, "test_7_and_8_")],
    8: [(COMPLAINTS, "test_7_and_8_")],
    9: [(HERE, "test_an_update_changes_what_is_named")],
    10: [(COMPLAINTS, "test_10_")],
    11: [(PACKING, SYNTAX)],
    12: [(COMPLAINTS, "test_12_"), ("cli/tests/test_login.py", "test_a_person_signs_in")],
    13: [(PACKING, "test_a_link_out_of_the_folder_is_refused_by_name_and_followed_when_asked")],
}


@cache
def names_in(file: str) -> list[str]:
    tree = ast.parse((ROOT / file).read_text())
    return [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def test_every_input_and_every_complaint_has_its_test():
    assert (sorted(INPUTS), sorted(COMPLAINED)) == (list(range(1, 28)), list(range(1, 14)))
    for table in (INPUTS, COMPLAINED):
        for number, proofs in table.items():
            for file, begins in proofs:
                assert any(name.startswith(begins) for name in names_in(file)), (number, file, begins)


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_27_one_value_of_a_file_is_found_in_any_case_and_an_unknown_key_is_told(airdeck, deployment):
    Deployment.objects.update(status="healthy", first_healthy_at=timezone.now())
    name = deployment.release_name
    for key, value in (
        ("configuration.name", "Analytics"),
        ("Configuration.NAME", "Analytics"),
        ("metadata.release_name", name),
        ("deployment.configuration.scheduler_count", "1"),
    ):
        assert airdeck("deployment", "inspect", name, "-k", key).out == f"{value}\n", key
    queues = airdeck("deployment", "inspect", name, "-k", "worker_queues").out
    assert queues.startswith("- name: default\n")
    told = airdeck("deployment", "inspect", name, "-k", "configuration.colour", code=2).err
    assert "configuration.colour" in told


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_an_update_changes_what_is_named_and_a_wrong_value_costs_nothing(airdeck, deployment, reconciled):
    """Complaint 9: an update turned something else off without a word, and refused only after the work."""
    airdeck("wait", f"{deployment.release_name}.create.1")
    airdeck("deployment", "variable", "set", "A=1", "-d", deployment.release_name, "--wait")
    before = airdeck("deployment", "inspect", deployment.release_name, "-o", "json").json["deployment"]
    airdeck("deployment", "update", deployment.release_name, "-s", "99", code=2)
    airdeck("deployment", "update", deployment.release_name, "-s", "7", "--wait")
    after = airdeck("deployment", "inspect", deployment.release_name, "-o", "json").json["deployment"]
    assert after["configuration"].pop("scheduler_au") == 7
    before["configuration"].pop("scheduler_au")
    before.pop("metadata"), after.pop("metadata")
    assert after == before
    assert vault.variables_of(Deployment.objects.get())["A"].value == "1"


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_a_deploy_of_a_dirty_tree_is_done_and_its_exit_code_says_so(
    airdeck, deployment, reconciled, tmp_path
):
    """Complaint 1: a deploy that was refused for a dirty tree ended with 0."""
    from tests.test_packing import git

    airdeck("wait", f"{deployment.release_name}.create.1")
    (tmp_path / "p" / "dags").mkdir(parents=True)
    (tmp_path / "p" / "dags" / "one.py").write_text("x = 1\n")
    git(tmp_path / "p", "init")
    git(tmp_path / "p", "add", ".")
    git(tmp_path / "p", "commit", "-m", "First one")
    (tmp_path / "p" / "dags" / "one.py").write_text("x = 2\n")
    done = airdeck("deploy", "p", "-d", deployment.release_name, "--wait", "-o", "json").json
    assert (done["changed"], done["deploy"]["git"]["dirty"]) == (True, True)
    assert "with uncommitted changes" in done["deploy"]["description"]
