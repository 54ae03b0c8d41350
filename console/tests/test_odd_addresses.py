"""Addresses that no page sends: answered 400, and never a 500."""

import pytest
from django.contrib import admin
from django.urls import reverse

pytestmark = pytest.mark.django_db
LISTS = sorted(f"{m._meta.app_label}_{m._meta.model_name}" for m in admin.site._registry)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("query", ["q=%00", "q=a%00b", "o=%00", "p=%00", "all=%00", "e=%00", "id__exact=%00"])
def test_a_nul_in_the_filters_of_an_operators_list_is_a_bad_request(as_, olga, name, query) -> None:
    assert as_(olga).get(f"{reverse(f'admin:{name}_changelist')}?{query}").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "members/?q=%00",
        "deployments/?q=%00",
        "activity/?q=a%00",
        "activity/?person=%00",
        "deployments/?page=%00",
    ],
)
def test_a_nul_in_the_filters_of_a_list_is_a_bad_request(as_, alice, workspace, path) -> None:
    answer = as_(alice).get(f"/w/{workspace.pk}/{path}")
    assert answer.status_code == 400
    assert "<h1" in answer.content.decode()


def test_a_nul_in_a_path_is_a_bad_request(as_, alice, deployment) -> None:
    for path in ("/%00", f"/deployments/{deployment.release_name}/variables/A%00B/", "/join/%00/"):
        assert as_(alice).get(path).status_code == 400


def test_what_only_looks_like_one_is_taken(as_, alice, workspace) -> None:
    assert as_(alice).get(f"/w/{workspace.pk}/members/?q=%2500").status_code == 200
