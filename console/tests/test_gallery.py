"""The gallery shows every component in every state, and keeps the rules of pages in both themes."""

import re

import pytest
from django.urls import NoReverseMatch, reverse

from console.tests.browser.chromium import axe_complaints, chromium, overflow
from console.tests.html_rules import complaints
from deployments.domain.states import (
    COMPONENT_APPEARANCE,
    STATUS_APPEARANCE,
    STEP_APPEARANCE,
    ComponentState,
    Status,
    StepState,
)

pytestmark = pytest.mark.urls("console.tests.urls_with_gallery")


@pytest.fixture
def html(client) -> str:
    response = client.get("/gallery/")
    assert response.status_code == 200
    return response.content.decode()


def test_the_gallery_shows_every_state_in_words(html) -> None:
    for kind, states in (("status", Status), ("component", ComponentState), ("step", StepState)):
        shown = re.findall(rf'data-kind="{kind}".*?</svg>(.*?)</span>', html, re.DOTALL)
        assert len(shown) == len(set(shown)) == len(states)
    for state in (*Status, *ComponentState):
        assert f"{state.value.capitalize()}</span>" in html


@pytest.mark.parametrize("looks", [STATUS_APPEARANCE, STEP_APPEARANCE, COMPONENT_APPEARANCE])
def test_states_of_one_kind_differ_by_the_shape_of_their_icon(looks) -> None:
    assert len({look.icon for look in looks.values()}) == len(looks)


@pytest.mark.parametrize(
    ("looks", "states"),
    [(STATUS_APPEARANCE, Status), (STEP_APPEARANCE, StepState), (COMPONENT_APPEARANCE, ComponentState)],
)
def test_every_state_has_a_look(looks, states) -> None:
    assert set(looks) == set(states)


def test_the_gallery_keeps_the_rules_of_pages(html) -> None:
    assert complaints(html) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('<p style="color:red">', "<p> has style="),
        ('<a href="#" onclick="x()">x</a>', "<a> has onclick="),
        ("<svg></svg>", "an <svg> is not hidden from screen readers"),
        ('<input name="x" id="x">', "<input name=x> has no label"),
        ('<button><svg aria-hidden="true"></svg></button>', "<button {}> has no words"),
        ('<i id="twice"></i><i id="twice"></i>', "id 'twice' is used 2 times"),
        ("<h3>x</h3>", "h3 follows h1"),
    ],
)
def test_the_rules_notice(wrong, message) -> None:
    page = f'<html lang="en"><head><title>t</title></head><body><main><h1>x</h1>{wrong}</main></body></html>'
    assert complaints(page) == [message]


@pytest.mark.urls("console.urls")
def test_production_does_not_route_the_gallery() -> None:
    with pytest.raises(NoReverseMatch):
        reverse("gallery")


@pytest.mark.browser
def test_the_gallery_is_accessible_in_both_themes_and_widths(live_server) -> None:
    found = {}
    with chromium() as browser:
        for width in (1280, 390):
            page = browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
            for theme in ("light", "dark"):
                page.goto(f"{live_server.url}/gallery/?theme={theme}")
                found[width, theme] = [*axe_complaints(page), *["scrolls sideways"] * bool(overflow(page))]
    assert found == {key: [] for key in found}
    assert len(found) == 4
