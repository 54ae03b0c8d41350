"""The commands and the pages by which operators register, check and deregister clusters."""

import io
from argparse import ArgumentParser
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from deployments.actions import create_deployment
from deployments.clusters import checks, connections
from deployments.clusters.options import clusters_for
from deployments.dataplane.kubernetes.checks.verdicts import Check, CheckState
from deployments.management.cluster_options import add_options, settings_of
from deployments.models import Cluster
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.dataplane.kubernetes.emulator import Emulator
from deployments.tests.registered import ADMIN, PASSWORD, TOKEN, URL
from workspaces.tests.admin.test_admin import last_event, message

pytestmark = pytest.mark.django_db


# -- Commands --


@pytest.fixture
def files(tmp_path):
    with Emulator() as emulator:
        for name, text in {"kubeconfig": emulator.kubeconfig, "url": ADMIN + "\n"}.items():
            (tmp_path / name).write_text(text)
        yield ["--kubeconfig", str(tmp_path / "kubeconfig"), "--database-url-file", str(tmp_path / "url")]


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(
        checks, "try_out", lambda config: [Check("isolation", "Network isolation", CheckState.OK, "Yes.")]
    )


def test_the_command_registers_checks_and_prints_one_line_each(cluster, files, quick):
    with pytest.raises(CommandError, match="Something is missing"):  # the emulator has no roles to lend
        run(
            "register_cluster",
            "Production",
            *files,
            "--ingress-domain",
            "a.example",
            "--set",
            "worker_grace=60",
        )
    made = Cluster.objects.get(name="Production")
    assert connections.config(made).settings["worker_grace"] == "60"
    assert [row["key"] for row in made.checks][:3] == ["api", "rights", "roles"]
    with pytest.raises(CommandError):
        run("register_cluster", "Production", *files)
    report = io.StringIO()
    with pytest.raises(CommandError):
        call_command("check_cluster", "Production", stdout=report)
    lines = report.getvalue().splitlines()
    assert lines[0] == "ok          API server: Kubernetes v1.36.0-emulator answers."
    assert any(line.startswith("MISSING     Roles for Airflow: ") for line in lines)
    assert "is deregistered" in run("deregister_cluster", "Production")
    with pytest.raises(CommandError, match="No Kubernetes cluster named Production"):
        run("deregister_cluster", "Production")


def test_a_token_that_is_replaced_is_named_by_its_file(cluster, files, quick, tmp_path):
    token = tmp_path / "token"
    token.write_text("emulator-token\n")
    with pytest.raises(CommandError, match="Something is missing"):
        run("register_cluster", "Production", *files, "--token-file", str(token))
    stored = connections.config(Cluster.objects.get(name="Production")).settings
    assert stored["token_file"] == str(token)
    with pytest.raises(CommandError, match="--token-file goes with --kubeconfig"):
        run("register_cluster", "Other", "--in-cluster", "--token-file", str(token))
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        run("register_cluster", "Other", *files, "--token-file", f"{token}s")


def test_what_is_known_is_left_as_it_is_where_that_is_wished_also_once_it_was_taken_off(
    cluster, files, quick
):
    """As the chart does with each version, so that it may not undo what an operator did."""
    words = ("register_cluster", "Production", *files, "--unless-known")
    assert "is registered. A worker checks it now" in run(*words)
    made = Cluster.objects.get(name="Production")
    assert (made.checks, made in checks.due()) == ([], True)
    assert "is known already" in run(*words, "--ingress-domain", "other.example")
    assert "ingress_domain" not in connections.config(made).settings
    run("deregister_cluster", "Production")
    assert "is known already" in run(*words)
    assert not Cluster.objects.registered().filter(name="Production").exists()


def test_check_only_stores_nothing(cluster, files, quick):
    with pytest.raises(CommandError, match="Something is missing"):
        run("register_cluster", "Production", *files, "--check-only")
    assert not Cluster.objects.filter(name="Production").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "needs credentials"),
        (("--in-cluster",), "does not run inside a cluster"),
        (("--kubeconfig", "/nowhere"), "/nowhere cannot be read"),
        (("--kubeconfig", "/nowhere", "--in-cluster"), "not both"),
        (("--set", "nonsense"), "--set takes NAME=VALUE"),
    ],
)
def test_the_command_refuses_in_words(db, words, sentence):
    with pytest.raises(CommandError, match=sentence):
        run("register_cluster", "Production", *words)
    assert not Cluster.objects.exists()


def test_the_url_may_come_from_standard_input(db, files, quick, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(ADMIN + "\n"))
    with pytest.raises(CommandError, match="Something is missing"):
        run("register_cluster", "Production", *files[:2], "--database-url", "-")
    assert connections.config(Cluster.objects.get()).database_url == ADMIN


# -- Django admin --


def add_url() -> str:
    return reverse("admin:deployments_cluster_add")


def test_an_operator_registers_a_cluster_and_sees_its_checks(as_, olga, cluster, findings, workspace):
    client = as_(olga)
    with Emulator() as emulator:
        data = {"name": "Production", "kubeconfig": emulator.kubeconfig, "database_url": URL, "keda": "on"}
        answer = client.post(add_url(), {**data, "ingress_domain": "a.example", "other": "worker_grace=60\n"})
    made = Cluster.objects.get(name="Production")
    assert answer["Location"] == reverse("admin:deployments_cluster_change", args=[made.pk]) + "?watch=1"
    assert (last_event().actor_id, last_event().verb) == (olga.pk, "registered")
    assert connections.config(made).settings.items() >= {"keda": "true", "worker_grace": "60"}.items()
    page = client.get(answer["Location"])
    assert page["Refresh"] == "3"
    assert "Being checked since" in page.content.decode()
    assert "Not checked yet: not offered" in page.content.decode()
    findings["try_out"] = [
        Check("isolation", "Network isolation", CheckState.WARNING, "Isolation is <b>not</b> enforced.")
    ]
    checks.check(made.pk)
    page = client.get(answer["Location"])
    assert "Refresh" not in page
    assert "Isolation is &lt;b&gt;not&lt;/b&gt; enforced." in page.content.decode()
    assert made in clusters_for(workspace)


def test_bad_input_is_refused_beside_its_field_and_no_secret_comes_back(as_, olga, cluster):
    bad = {
        "name": "Production",
        "kubeconfig": f"users: [{{name: u, user: {{exec: {TOKEN}}}}}]\ncurrent-context: x",
        "database_url": f"mysql://a:{PASSWORD}@b/c",
        "ingress_domain": "Not A Domain",
        "image_pull_secret": f'{{"auths": "{PASSWORD}"}}',
        "log_bucket": f'{{"secret_key": "{PASSWORD}"}}',
        "other": "server=https://evil\nnonsense",
    }
    answer = as_(olga).post(add_url(), bad)
    assert answer.status_code == 422
    errors = answer.context["form"].errors
    fields = {"context", "database_url", "ingress_domain", "image_pull_secret", "log_bucket", "other"}
    assert errors.keys() == fields
    text = answer.content.decode()
    assert 'value="Production"' in text
    assert 'value="Not A Domain"' in text
    assert TOKEN not in text
    assert PASSWORD not in text
    assert not Cluster.objects.filter(name="Production").exists()


def test_how_it_is_reached_is_changed_without_being_shown(as_, olga, production):
    client, url = as_(olga), reverse("admin:deployments_cluster_reach", args=[production.pk])
    text = client.get(url).content.decode()
    assert "https://10.0.0.1:6443" in text
    assert 'value="airflow-"' in text
    assert TOKEN not in text
    assert PASSWORD not in text
    answer = client.post(url, {"namespace_prefix": "airflow-", "ingress_domain": "b.example"})
    assert answer.status_code == 302
    config = connections.config(Cluster.objects.get(pk=production.pk))
    assert config.settings["token"] == TOKEN
    assert (config.settings["ingress_domain"], config.database_url) == ("b.example", URL)
    assert last_event().verb == "changed how to reach"


def test_another_server_is_taken_on_the_page_only_as_the_same_one_moved(
    as_, olga, production, workspace, alice, on_production
):
    create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=on_production())
    client, url = as_(olga), reverse("admin:deployments_cluster_reach", args=[production.pk])
    asked = {"namespace_prefix": "airflow-", "database_url": URL.replace("db.example", "db2.example")}
    answer = client.post(url, asked)
    assert answer.status_code == 422
    assert "another database server" in answer.content.decode()
    assert client.post(url, {**asked, "moved": "on"}).status_code == 302


def test_buttons_check_again_and_deregister(
    as_, olga, production, cluster, enqueued_checks, django_capture_on_commit_callbacks
):
    def press(row, action):
        data = {"action": action, "_selected_action": [row.pk], "confirmed": "yes"}
        return message(client.post(reverse("admin:deployments_cluster_changelist"), data, follow=True))

    client = as_(olga)
    enqueued_checks.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert press(production, "check_again")[0].startswith("Production is being checked.")
    assert enqueued_checks == [production.pk]
    assert press(cluster, "check_again") == ["This machine has nothing to check."]
    assert press(cluster, "deregister")[0].startswith("This machine is where Airdeck itself runs.")
    assert press(production, "deregister")[0].startswith("Production is deregistered.")
    page = client.get(reverse("admin:deployments_cluster_change", args=[production.pk])).content.decode()
    assert f"Deregistered on {timezone.now():%Y-%m-%d}" in page


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://admin:pa@{}@127.0.0.1:1/postgres",
        "postgresql://admin:{}[t@127.0.0.1:1/postgres@",
        "postgresql://admin:a/{}@127.0.0.1:1/postgres",
        "postgresql://admin:%zz{}@127.0.0.1:1/postgres",
        "postgresql://admin:{}@[::1/postgres",
        "postgresql://admin:{}@a:1,b:2/postgres",
    ],
)
def test_a_url_with_an_odd_password_is_refused_beside_its_field_and_nothing_of_it_is_shown(
    as_, olga, cluster, url, caplog
):
    with Emulator() as emulator:
        data = {"name": "Production", "kubeconfig": emulator.kubeconfig, "database_url": url.format(PASSWORD)}
        answer = as_(olga).post(add_url(), data)
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"database_url"}
    assert PASSWORD not in answer.content.decode() + caplog.text


def test_a_bracket_in_a_password_is_a_bracket(as_, olga, cluster, findings):
    with Emulator() as emulator:
        data = {"name": "Production", "kubeconfig": emulator.kubeconfig}
        answer = as_(olga).post(
            add_url(), {**data, "database_url": f"postgresql://a:s3cr[{PASSWORD}@db.example/postgres"}
        )
    assert answer.status_code == 302
    assert PASSWORD not in answer.content.decode()


def test_the_keys_of_a_bucket_come_from_a_file_and_stand_in_no_argument(tmp_path):
    file = tmp_path / "bucket.json"
    file.write_text(samples.BUCKET)
    parser = ArgumentParser()
    add_options(parser)
    options = vars(parser.parse_args(["--log-bucket", str(file)]))
    assert "marked" not in repr(options)
    assert settings_of(options) == {"log_bucket": samples.BUCKET}
