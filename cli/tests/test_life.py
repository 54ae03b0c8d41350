"""The whole life of a Deployment from a pipeline, and what each part of it says."""

import json
import re
import signal
import threading
import time

import jwt
import pytest

from deployments.models import Deploy, Deployment
from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

FILE = """
deployment:
  configuration:
    name: Analytics
    description: "Nightly: reports"
    executor: CeleryExecutor
  worker_queues:
    - {name: default, max_worker_count: 4}
    - {name: heavy, worker_concurrency: 2}
  environment_variables:
    - {key: REGION, value: "eu=west"}
    - {key: API_KEY, value: "${API_KEY}", is_secret: true}
"""
SECRET = "hush-hush-4711"


def created_by_a_file_and_again_there_is_nothing_to_do(airdeck) -> Deployment:
    apply = ("deployment", "apply", "-f", "d.yaml", "--env", "--yes", "--wait")
    made = airdeck(*apply, environment={"API_KEY": SECRET})
    assert "+ environment_variables.API_KEY: •••" in made.out
    assert "✓ Database" in made.err
    again = airdeck(*apply, environment={"API_KEY": SECRET})
    assert "There is nothing to do." in again.out
    row = Deployment.objects.get()
    assert vault.variables_of(row)["API_KEY"].value == SECRET
    assert row.release_name in airdeck("de", "ls").out
    return row


def what_inspect_writes_changes_nothing_and_holds_no_secret(airdeck, row, tmp_path) -> None:
    written = airdeck("deployment", "inspect", "-n", "analytics").out
    assert SECRET not in written
    (tmp_path / "same.yaml").write_text(written)
    assert "nothing to do" in airdeck("deployment", "apply", "-f", "same.yaml").out
    assert airdeck("deployment", "inspect", row.release_name, "-k", "METADATA.Status").out == "healthy\n"


def a_project_is_deployed_and_the_same_code_again_is_nothing(airdeck, tmp_path) -> None:
    airdeck("init", "project")
    first = airdeck("deploy", "project", "-d", "Analytics", "--wait", "-m", "First")
    assert "Deploy 1 is active." in first.out
    assert "✓ Built: 1 file in place." in first.err
    assert "✓ Activated: Version 1-" in first.err  # what is done is not left at "…"
    assert "has this code already" in airdeck("deploy", "project", "-d", "Analytics", "--wait").out
    (tmp_path / "project" / "dags" / "more.py").write_text("x = 1\n")
    planned = airdeck("deploy", "project", "-d", "Analytics", "--dry-run")
    assert "+ more.py" in planned.out
    second = airdeck("deploy", "project", "-d", "Analytics", "-o", "json", "--wait").json
    assert (second["changed"], second["deploy"]["number"], second["operation"]["status"]) == (True, 2, "done")


def variables_and_a_queue_are_changed(airdeck, row) -> None:
    airdeck("deployment", "variable", "set", "URL=postgres://u:p@h/d?a=b", "-d", "Analytics", "-w")
    airdeck("deployment", "variable", "set", "TOKEN", "-s", "-d", "Analytics", "-w", text="from=stdin\n")
    settings = vault.variables_of(row)
    assert settings["URL"].value == "postgres://u:p@h/d?a=b"
    assert (settings["TOKEN"].value, settings["TOKEN"].secret) == ("from=stdin", True)
    assert settings["API_KEY"].value == SECRET  # what nobody set is kept
    listed = airdeck("deployment", "variable", "list", "-d", "Analytics").out
    assert re.search(r"API_KEY +••• +yes", listed)
    airdeck("deployment", "variable", "delete", "URL", "--yes", "-d", "Analytics", "-w")
    airdeck(
        "deployment", "worker-queue", "update", "-n", "heavy", "--max-count", "7", "-d", "Analytics", "-w"
    )
    assert row.queues.get(name="heavy").max_workers == 7
    airdeck("deployment", "wq", "delete", "-n", "heavy", "-f", "-d", "Analytics", "-w")


def logs_of_tasks_are_listed_and_read(airdeck, kept) -> None:
    kept.write("dag_id=etl/run_id=r/task_id=load/attempt=1.log", "loads the first")
    kept.write("dag_id=etl/run_id=r/task_id=load/attempt=2.log", "loads again")
    listed = airdeck("deployment", "task-logs", "Analytics", "-c", "1")
    assert "attempt=2.log" in listed.out
    assert "attempt=1.log" not in listed.out
    assert "The newest 1 are listed." in listed.err
    (found,) = airdeck("deployment", "task-logs", "Analytics", "-k", "LOAD attempt=1", "-o", "json").json
    assert airdeck("deployment", "logs", "Analytics", "--task", found["path"]).out.endswith(
        "loads the first\n"
    )
    both = airdeck("deployment", "logs", "Analytics", "--task", "x", "--component", "scheduler", code=2)
    assert "not both" in both.err


def it_sleeps_wakes_goes_back_and_is_deleted(airdeck) -> None:
    assert airdeck("deployment", "logs", "Analytics", "--component", "scheduler").code == 0
    assert "hibernates." in airdeck("deployment", "hb", "Analytics", "--wait").out
    assert "nothing to do" in airdeck("deployment", "hibernate", "Analytics").out
    assert "✓ Airflow components" in airdeck("deployment", "wake-up", "Analytics", "--wait").err
    back = airdeck("deploys", "rollback", "1", "-d", "Analytics", "--yes", "--wait")
    assert "Deploy 3 is active." in back.out
    history = airdeck("deploys", "list", "Analytics").out
    assert "First" in history
    assert "Deploy 1 of Analytics: deployed" in airdeck("deploys", "show", "1", "-d", "Analytics").out
    gone = airdeck("deployment", "delete", "Analytics", "--yes", "--wait")
    assert "Deployment Analytics is deleted." in gone.out
    assert "No Deployments." in airdeck("deployment", "list").out
    assert Deployment.objects.get().deleted_at is not None


def test_from_a_file_to_a_delete(airdeck, reconciled, tmp_path, driver):
    (tmp_path / "d.yaml").write_text(FILE)

    row = created_by_a_file_and_again_there_is_nothing_to_do(airdeck)
    what_inspect_writes_changes_nothing_and_holds_no_secret(airdeck, row, tmp_path)
    a_project_is_deployed_and_the_same_code_again_is_nothing(airdeck, tmp_path)
    variables_and_a_queue_are_changed(airdeck, row)
    logs_of_tasks_are_listed_and_read(airdeck, driver.worlds[row.release_name].task_logs)
    it_sleeps_wakes_goes_back_and_is_deleted(airdeck)


def test_create_update_and_what_is_refused(airdeck, reconciled):
    airdeck("deployment", "create", "-n", "Analytics", "-e", "LocalExecutor", "-s", "6", "-w")
    row = Deployment.objects.get()
    assert (row.executor, row.scheduler_au) == ("local", 6)
    taken = airdeck("deployment", "create", "-n", "ANALYTICS", code=4)
    assert "no other Deployment in this Workspace uses" in taken.err
    wrong = airdeck("deployment", "create", "-n", "Other", "-s", "99", "-r", "0", code=2)
    assert "scheduler_au: " in wrong.err
    assert "scheduler_replicas: " in wrong.err  # all of them at once
    airdeck("deployment", "update", "Analytics", "--description", "New", "--wait")
    row.refresh_from_db()
    assert (row.description, row.scheduler_au) == ("New", 6)  # what is not said stays
    airdeck("deployment", "update", "Analytics", "--wake-when-opened")
    assert "wake_when_opened: true" in airdeck("deployment", "inspect", "Analytics").out
    assert "Say what to change" in airdeck("deployment", "update", "Analytics", code=2).err
    assert airdeck("deployment", "update", "Nobody", "-d", "x", code=2).err.startswith(
        "There is no Deployment"
    )


def test_16_a_file_that_creates_wants_none_and_one_that_updates_wants_one(airdeck, reconciled, tmp_path):
    (tmp_path / "d.yaml").write_text("deployment: {configuration: {name: Analytics}}")
    assert (
        "There is no Deployment Analytics."
        in airdeck("deployment", "update", "--deployment-file", "d.yaml", code=4).err
    )
    airdeck("deployment", "create", "--deployment-file", "d.yaml", "--yes", "--wait")
    assert (
        "There is a Deployment Analytics already."
        in airdeck("deployment", "create", "--deployment-file", "d.yaml", "--yes", code=4).err
    )
    airdeck("deployment", "update", "--deployment-file", "d.yaml", "--yes")


def test_a_wrong_file_says_everything_at_once_and_changes_nothing(airdeck, tmp_path):
    (tmp_path / "d.yaml").write_text("deployment: {configuration: {scheduler_au: x, nam: y}, colour: 1}")
    told = airdeck("deployment", "apply", "-f", "d.yaml", "--yes", code=2).err
    assert "d.yaml cannot be applied:" in told
    for path in ("configuration.name", "configuration.scheduler_au", "configuration.nam", "colour"):
        assert f"  deployment.{path}: " in told
    assert (
        airdeck("deployment", "apply", "-f", "none.yaml", code=2).err
        == "open none.yaml: no such file or directory\n"
    )
    (tmp_path / "empty.yaml").write_text("")
    assert "has no content" in airdeck("deployment", "apply", "-f", "empty.yaml", code=2).err
    missing = airdeck("deployment", "apply", "-f", "-", "--env", code=2, text="deployment: {a: '${NOPE}'}")
    assert "These are not set in the environment: NOPE." in missing.err
    assert not Deployment.objects.exists()


def test_without_a_terminal_nothing_is_asked_and_nothing_is_done(airdeck, deployment, reconciled, tmp_path):
    (tmp_path / "d.yaml").write_text("deployment: {configuration: {name: Second}}")
    for arguments in (
        ("deployment", "delete", deployment.release_name),
        ("deployment", "apply", "-f", "d.yaml"),
        ("deployment", "variable", "delete", "A", "-d", deployment.release_name),
        ("deployment", "worker-queue", "delete", "-n", "heavy", "-d", deployment.release_name),
        ("deploys", "rollback", "1", "-d", deployment.release_name),
        ("login", airdeck.environment["AIRDECK_URL"]),
    ):
        told = airdeck(*arguments, code=2).err
        assert "There is no terminal to ask at." in told, arguments
        assert told.strip().endswith(".")
    deployment.refresh_from_db()
    assert (deployment.delete_requested_at, Deployment.objects.count()) == (None, 1)


def test_ctrl_c_while_waiting_says_that_the_work_goes_on(airdeck, driver, reconciled):
    driver.slow_start = 10_000
    waiting = airdeck.start("deployment", "create", "-n", "Analytics", "--wait")
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(waiting.stderr))
    reader.start()
    deadline = time.monotonic() + 60
    while not any("Database" in line for line in lines) and time.monotonic() < deadline:
        time.sleep(0.05)
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(30) == 130
    reader.join(10)
    waiting.stdout.close(), waiting.stderr.close()
    row = Deployment.objects.get()
    assert lines[-1].startswith("No longer waiting. The work goes on.")
    assert f"airdeck wait {row.release_name}.create.1" in lines[-1]
    driver.slow_start = 0
    assert "Done." in airdeck("wait", f"{row.release_name}.create.1").out
    assert Deployment.objects.get().status == "healthy"


def test_24_waiting_ends_with_what_became_of_this_operation(airdeck, driver, reconciled, tmp_path):
    driver.slow_start = 10_000
    late = airdeck("deployment", "create", "-n", "Analytics", "--wait", "--wait-time", "2", code=5)
    assert "It is not done after 2 s. The work goes on." in late.err
    driver.slow_start = 0
    airdeck("wait", f"{Deployment.objects.get().release_name}.create.1")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "bad.py").write_text("def broken(:\n")
    failed = airdeck("deploy", ".", "-d", "Analytics", "--wait", code=1)
    assert "bad.py" in failed.err
    assert Deploy.objects.get().status == "failed"
    assert airdeck("deploy", ".", "-d", "Analytics", code=0).out.startswith("Deploy 2 is under way.")


def test_json_is_all_that_stands_on_stdout(airdeck, deployment, reconciled):
    for arguments in (
        ("deployment", "list", "-o", "json"),
        ("deployment", "create", "-n", "Other", "-o", "json", "--wait"),
        ("deployment", "inspect", deployment.release_name, "-o", "json"),
        ("deployment", "variable", "list", "-d", deployment.release_name, "-o", "json"),
        ("deployment", "worker-queue", "list", "-d", deployment.release_name, "-o", "json"),
        ("deploys", "list", deployment.release_name, "-o", "json"),
        ("workspace", "list", "-o", "json"),
        ("airflow-token", deployment.release_name, "-o", "json"),
        ("whoami", "-o", "json"),
        ("api", "GET", "/deployments?limit=1"),
    ):
        assert json.loads(airdeck(*arguments).out) is not None, arguments


def test_a_token_for_an_airflow_is_all_that_stands_on_stdout(airdeck, deployment, driver):
    settle(deployment)
    made = airdeck("airflow-token", "Analytics", "--minutes", "30")
    claims = jwt.decode(made.out.strip(), options={"verify_signature": False})
    assert (claims["role"], claims["kind"]) == ("OP", "program")
    assert made.err.startswith("For 30 minutes, as OP, at http://")
    assert airdeck("airflow-token", "Analytics", "--minutes", "61", code=2).out == ""


def test_an_image_is_deployed_by_its_name_and_again_is_nothing_to_do(
    airdeck, reconciled, alice, deployment, driver
):
    airdeck("wait", f"{deployment.release_name}.create.1")
    image = "registry.example.com/team/airflow:7"
    deploy = ("deploy", "-d", deployment.release_name, "--wait", "--image")
    refused = airdeck(*deploy, image, code=4)
    assert "without images" in refused.err
    driver.takes_images = True
    done = airdeck(*deploy, image, "-m", "GDAL")
    assert "Deploy 1 is active." in done.out
    assert "✓ Image: Airflow" in done.err
    made = Deploy.objects.get()
    assert (made.image, made.description, made.files) == (image, "GDAL", 0)
    digest = made.image_pinned.partition("@")[2]
    assert "has this image already" in airdeck(*deploy, f"{image}@{digest}").out
    for beside in ("--dry-run", "--follow-links", "my-project"):
        assert "leave out the folder and what is about code" in airdeck(*deploy, image, beside, code=2).err
    assert "Enter lowercase letters" in airdeck(*deploy, "Not An Image", code=2).err
    airdeck(*deploy, "")
    deployment.refresh_from_db()
    assert deployment.image == ""
