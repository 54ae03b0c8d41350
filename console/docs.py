"""The documentation, served by the console itself: it fits the version that runs, and needs no internet.

Only the files named in DOCS are ever read. They are ours, and HTML in them is escaped all the same.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import count, pairwise
from pathlib import PurePosixPath
from struct import unpack

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

# Address, file, title and what it is about. One that is not there yet is left out.
DOCS = (
    (
        "using",
        "using.md",
        "Using Airdeck",
        "From the first Deployment on: status, figures, logs, search, people.",
    ),
    (
        "configure",
        "configure.md",
        "Configure",
        "Change what runs: sizes, queues, variables, runtimes, hibernation.",
    ),
    (
        "deploying",
        "deploying.md",
        "Deploying DAGs",
        "Archives, projects, Git, packages, images, and going back.",
    ),
    ("alerts", "alerts.md", "Alerts", "Who is emailed when something is wrong, webhooks, and silence."),
    ("sign-in", "sign-in.md", "Signing in to Airflow", "Roles, when a session ends, and tokens for scripts."),
    ("cli", "cli.md", "Command line", "airdeck in a terminal: deploys, variables, Deployments as files."),
    ("ci", "ci.md", "CI", "Deploys out of GitHub, GitLab and others."),
    ("api", "api.md", "API", "Tokens, and everything that programs can do."),
    ("glossary", "glossary.md", "Glossary", "What each word means, here and in the code."),
    ("kubernetes", "kubernetes.md", "Kubernetes", "Clusters: what they need, and how to connect one."),
    (
        "install",
        "install.md",
        "Install",
        "On a laptop, one host or a cluster: from nothing to the first Deployment.",
    ),
    (
        "metrics",
        "metrics.md",
        "Metrics",
        "What Prometheus can know of the console, and what is worth an alert.",
    ),
    ("operations", "operations.md", "Operations", "Health, backup, upgrades and what can go wrong."),
)


PICTURES = settings.BASE_DIR / "docs" / "img"  # served as static files, where they are
_TABLE = '<div class="doc__table" tabindex="0" role="region" aria-label="Table {}"><table>'


@dataclass(frozen=True)
class Doc:
    """One page of the documentation."""

    name: str
    title: str
    about: str
    html: SafeString
    headings: tuple[tuple[str, str], ...]  # anchor and words of each heading of the second level

    @property
    def url(self) -> str:
        """Its address."""
        return reverse("docs_page", args=[self.name])


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or [])


def _lead(target: str) -> str:
    """Where a link of a document leads here: to the page of that document; elsewhere it stays as it is written."""
    path, _, anchor = target.partition("#")
    name = next((name for name, file, *_ in DOCS if PurePosixPath(path).name == file), "")
    if not name or "://" in target:
        return target
    return reverse("docs_page", args=[name]) + (f"#{anchor}" if anchor else "")


def _known(target: str) -> bool:
    return target.startswith(("/", "#", "http://", "https://", "mailto:"))


def _anchored(tokens: list[Token]) -> list[tuple[str, str]]:
    """Give each heading an id as GitHub does; those of the second level come back."""
    found = []
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or opening.tag == "h1":
            continue
        words = _plain(inline)
        anchor = slugify(words)
        opening.attrSet("id", anchor)
        if opening.tag == "h2":
            found.append((anchor, words))
    return found


def _shown(picture: Token) -> bool:
    """Have a picture of `docs/img` come as the static file that it is; whether it is one. With its size, so that
    nothing moves once it is there."""
    file = PICTURES / PurePosixPath(str(picture.attrGet("src"))).name
    if picture.attrGet("src") != f"img/{file.name}" or file.suffix != ".png" or not file.is_file():
        return False
    width, height = unpack(">II", file.read_bytes()[16:24])  # of a PNG's first chunk
    picture.attrs = {
        "src": static(f"docs/{file.name}"),
        "alt": "",  # the renderer fills it in
        "width": width,
        "height": height,
        "loading": "lazy",
    }
    return True


def _linked(tokens: list[Token]) -> None:
    """Links between documents lead to their pages; those into the repository become plain words."""
    for token in tokens:
        if token.type != "inline":
            continue
        dead = False
        for child in token.children or []:
            if child.type == "link_open":
                target = _lead(str(child.attrGet("href") or ""))
                dead = not _known(target)
                child.attrSet("href", target)
                if target.startswith("http"):
                    child.attrSet("rel", "noopener")
            if child.type in {"link_open", "link_close"} and dead:
                child.type, child.tag = f"dead_{child.type}", ""
                child.hidden = True
        token.children = [
            child
            for child in token.children or []
            if not child.type.startswith("dead_") and (child.type != "image" or _shown(child))
        ]


def render_markdown(text: str) -> tuple[SafeString, tuple[tuple[str, str], ...]]:
    """The HTML of a document without its title, and its headings of the second level. HTML in it is escaped, and no
    attribute but `href`, `id`, `rel`, `title`, `start` and those of a picture is written."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        tokens = tokens[3:]
    for token in tokens:
        token.attrs = {key: value for key, value in token.attrs.items() if key not in {"style", "class"}}
        if token.type == "fence":
            token.info = ""
    headings = _anchored(tokens)
    _linked(tokens)
    html = parser.renderer.render(tokens, parser.options, {})
    numbers = count(1)
    html = re.sub(r"<table>", lambda _: _TABLE.format(next(numbers)), html)
    html = html.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
    html = re.sub(r"<th>", '<th scope="col">', html)
    html = html.replace("<thead>", '<caption class="sr">Table</caption><thead>')
    return mark_safe(html), tuple(headings)  # noqa: S308 - written by the renderer, which escapes


@cache
def _read() -> dict[str, Doc]:
    found = {}
    for name, file, title, about in DOCS:
        path = settings.BASE_DIR / "docs" / file
        if path.is_file():
            html, headings = render_markdown(path.read_text())
            found[name] = Doc(name, title, about, html, headings)
    return found


@login_not_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What there is to read."""
    return render(request, "docs/index.html", {"docs": list(_read().values())})


@login_not_required
@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """One document. For everybody: nothing in it is about this installation."""
    doc = _read().get(name)
    if doc is None:
        raise Http404
    return render(request, "docs/page.html", {"doc": doc, "docs": list(_read().values())})
