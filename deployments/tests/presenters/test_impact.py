"""What a change of variables does to running work is said on the page, before anybody saves."""

from console.tests.html_rules import complaints
from deployments.models import Deployment
from deployments.tests.pages.test_variables import add, pasted, url
from deployments.tests.reconciler.test_reconcile import settle


def test_who_would_cut_off_tasks_is_told_how_many(as_, bob, deployment, driver):
    settle(deployment)
    add(deployment, bob, "REGION", "eu-central-1")
    client, tasks = as_(bob), f'hx-get="{url(deployment, "tasks")}"'
    pages = [
        url(deployment, "variable_new"),
        url(deployment, "variables_delete") + "?key=REGION",
        pasted(client, deployment, "REGION=us-east-1"),
    ]
    shown = [client.get(page).content.decode() for page in pages]
    assert not any(tasks in page for page in shown)  # workers finish what they run
    Deployment.objects.filter(pk=deployment.pk).update(executor="local")
    deployment.queues.all().delete()
    for page in pages:
        shown = client.get(page)
        assert tasks in shown.content.decode(), page
        assert not complaints(shown.content.decode())
