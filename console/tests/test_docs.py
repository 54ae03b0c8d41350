"""The docs that the console serves: a fixed list of files, escaped, whose links lead somewhere."""

import re

import pytest
from django.conf import settings
from django.urls import reverse

from console import __version__, docs
from console.tests.html_rules import complaints

NAMES = [name for name, file, *_ in docs.DOCS if (settings.BASE_DIR / "docs" / file).is_file()]
HELP = re.compile(r'ui/help\.html" with doc="([^"]+)"(?: anchor="([^"]+)")?')


@pytest.mark.django_db
@pytest.mark.parametrize("name", NAMES)
def test_each_document_is_a_page_that_keeps_the_rules(client, name) -> None:
    answer = client.get(reverse("docs_page", args=[name]))
    assert answer.status_code == 200
    html = answer.content.decode()
    assert complaints(html) == []
    ids = set(re.findall(r'id="([^"]+)"', html))
    anchors = re.findall(r'href="#([^"]+)"', html)
    assert [anchor for anchor in anchors if anchor not in ids] == []


@pytest.mark.django_db
def test_the_index_lists_them_and_nothing_else_is_served(client) -> None:
    index = client.get(reverse("docs")).content.decode()
    assert complaints(index) == []
    assert [name for name in NAMES if reverse("docs_page", args=[name]) not in index] == []
    for name in ("architecture", "performance", "settings", "adr"):
        assert client.get(reverse("docs_page", args=[name])).status_code == 404


def test_html_in_a_document_is_escaped_and_no_script_gets_a_link() -> None:
    links = "[a](javascript:alert(1)) [b](../console/settings.py) ![i](x.png)"
    text = f"# T\n\n<script>alert(1)</script> <b>x</b>\n\n{links}\n"
    html, _ = docs.render_markdown(text)
    assert "&lt;script&gt;" in html
    for wrong in ("<script", "<b>", 'javascript:alert(1)"', 'settings.py"', "<img", "style="):
        assert wrong not in html


def test_a_picture_of_ours_comes_from_us_with_its_size_and_words_and_no_other_does() -> None:
    others = "![](img/../img/logs.png) ![x](https://example.org/a.png) ![n](img/no.png)"
    html, _ = docs.render_markdown(f'# T\n\n![The "log"](img/logs.png)\n\n{others}\n')
    assert html.count("<img") == 1
    assert re.search(
        r'<img src="/static/docs/logs\.png" alt="The &quot;log&quot;" width="\d+" height="\d+" loading="lazy" />',
        html,
    )


def test_every_picture_that_a_document_shows_is_there() -> None:
    files = [settings.BASE_DIR / "README.md", *(settings.BASE_DIR / "docs").glob("*.md")]
    shown = [
        file.parent / name
        for file in files
        for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", file.read_text())
    ]
    assert len(shown) > 8
    assert [str(picture) for picture in shown if not picture.is_file()] == []


def test_links_between_documents_lead_to_their_pages() -> None:
    html, headings = docs.render_markdown(
        "# T\n\n## One thing\n\n[c](configure.md#edit) [o](https://example.org/)\n"
    )
    assert f'href="{reverse("docs_page", args=["configure"])}#edit"' in html
    assert 'href="https://example.org/"' in html
    assert headings == (("one-thing", "One thing"),)


@pytest.mark.django_db
def test_every_help_link_of_a_form_leads_to_a_heading_that_is_there(client) -> None:
    found = {
        link
        for file in (settings.BASE_DIR / "templates").rglob("*.html")
        for link in HELP.findall(file.read_text())
    }
    assert len(found) > 5
    for name, anchor in found:
        html = client.get(reverse("docs_page", args=[name])).content.decode()
        assert not anchor or f'id="{anchor}"' in html, (name, anchor)


@pytest.mark.django_db
def test_the_version_is_shown_to_people_and_not_to_strangers(client, alice, olga, as_) -> None:
    assert __version__ in as_(alice).get(reverse("docs")).content.decode()
    assert __version__ not in client.get(reverse("docs")).content.decode()
    assert f"Airdeck {__version__}" in as_(olga).get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md", "docs/adr/*.md"])
def test_every_module_that_developers_are_sent_to_is_there(name) -> None:
    """By its path, or the end of it: `reconciler/plan.py`."""
    files = [
        f"/{path.relative_to(settings.BASE_DIR)}"
        for place in ("*.py", "console/**/*.py", "workspaces/**/*.py", "deployments/**/*.py", "cli/**/*.py")
        for path in settings.BASE_DIR.glob(place)
    ]
    named = {
        (file.name, found)
        for file in settings.BASE_DIR.glob(name)
        for found in re.findall(r"`([\w./-]+\.py)`", file.read_text())
    }
    assert len(named) > 20
    assert [each for each in named if not any(file.endswith(f"/{each[1]}") for file in files)] == []
