"""What a search finds, in groups: one query for each kind of row, and none for pages and actions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from console.search import places
from console.search.places import OF_A_DEPLOYMENT, DeploymentPage, Place
from deployments.domain.states import Executor, Status
from deployments.models import Dag, Deployment
from deployments.queries import search as deployment_queries
from workspaces import search as tenancy
from workspaces.access import may
from workspaces.models import Membership, User

IN_DIALOG, ON_PAGE = 6, 25  # hits of one kind
MOST_WORDS = 6
FIRST_ACTIONS = {"Create Deployment", "Invite people", "New Workspace"}  # offered before a word is typed


@dataclass(frozen=True)
class Hit:
    """One result: a link."""

    title: str
    url: str
    icon: str
    note: str = ""
    status: Status | None = None


@dataclass(frozen=True)
class Group:
    """The results of one kind. `more` says that others were left out."""

    label: str
    hits: tuple[Hit, ...]
    more: bool = False


@dataclass(frozen=True)
class Asked:
    """Who asks, for what. `here` is the Workspace that was looked at last."""

    user: User
    words: tuple[str, ...]
    here: str = ""
    looked_at: tuple[str, ...] = ()
    most: int = IN_DIALOG


def words_of(text: str) -> tuple[str, ...]:
    """The words to look for, in small letters."""
    return tuple(text.lower().split()[:MOST_WORDS])


def find(asked: Asked) -> list[Group]:
    """The groups that hold something. At most five queries; without words two, for what the person may want first."""
    memberships = tenancy.memberships(asked.user)
    memberships.sort(key=lambda each: str(each.workspace_id) != asked.here)
    groups = _found(asked, memberships) if asked.words else _first(asked, memberships)
    return [group for group in groups if group.hits]


def _first(asked: Asked, memberships: list[Membership]) -> Iterable[Group]:
    by_id = {each.workspace_id: each for each in memberships}
    rows = deployment_queries.by_release_names([*by_id], asked.looked_at)
    yield Group("Viewed recently", tuple(_deployment(row, by_id) for row in rows))
    here = memberships[:1]
    yield _places(
        "Actions", [place for place in places.actions(here) if place.title in FIRST_ACTIONS], asked.most
    )
    yield _places("Pages", places.pages(asked.user, here), asked.most)
    yield _workspaces(memberships, asked.most)


def _found(asked: Asked, memberships: list[Membership]) -> Iterable[Group]:
    words, most = asked.words, asked.most
    by_id = {each.workspace_id: each for each in memberships}
    here = next((each for each in by_id if str(each) == asked.here), None)
    yield _deployments(asked, by_id, here)
    yield _cut(
        "DAGs",
        [_dag(row, by_id) for row in deployment_queries.dags([*by_id], words, most + 1, here=here)],
        most,
    )
    named = [each for each in memberships if all(word in each.workspace.name.lower() for word in words)]
    yield _workspaces(named, most)
    people = tenancy.people([*by_id], words, most + 1)
    hits = tuple(
        Hit(
            each.user.label,
            f"{each.workspace.url_for('members')}?{urlencode({'q': each.user.email})}",
            "user",
            f"{each.role_label}, {each.workspace.name}",
        )
        for each in people
    )
    yield _cut("Members", hits, most)
    for label, all_places in (
        ("Actions", places.actions(memberships)),
        ("Pages", places.pages(asked.user, memberships)),
    ):
        yield _places(label, [place for place in all_places if place.holds(words)], most)


def _cut(label: str, hits: Sequence[Hit], most: int) -> Group:
    return Group(label, tuple(hits[:most]), more=len(hits) > most)


def _places(label: str, found: Sequence[Place], most: int) -> Group:
    hits = [Hit(place.title, place.url, place.icon, place.note) for place in found[: most + 1]]
    return _cut(label, hits, most)


def _workspaces(memberships: Sequence[Membership], most: int) -> Group:
    hits = [
        Hit(each.workspace.name, each.workspace.url, "layers", f"You are {each.role_label}")
        for each in memberships
    ]
    return _cut("Workspaces", hits, most)


def _deployment(row: Deployment, by_id: dict[UUID, Membership], page: DeploymentPage | None = None) -> Hit:
    note = f"{row.release_name}, {by_id[row.workspace_id].workspace.name}"
    if page is None:
        return Hit(row.name, row.url, "wind", note, row.shown_status)
    return Hit(f"{row.name}: {page.title}", row.url_for(page.name), "wind", note, row.shown_status)


def _dag(row: Dag, by_id: dict[UUID, Membership]) -> Hit:
    deployment = row.deployment
    url = f"{deployment.url_for('dags')}?{urlencode({'q': row.dag_id})}"
    note = f"{deployment.name}, {by_id[deployment.workspace_id].workspace.name}"
    return Hit(row.name or row.dag_id, url, "workflow", note)


def _deployments(asked: Asked, by_id: dict[UUID, Membership], here: UUID | None) -> Group:
    """By their names; and "analytics logs" also finds the logs of Analytics."""
    page, rest = _page_of(asked.words)
    rows = deployment_queries.deployments([*by_id], (asked.words, rest), asked.most + 1, here=here)
    hits = []
    for row in rows:
        text = f"{row.name} {row.release_name}".lower()
        there = page is not None and (page.name != "queues" or row.executor == Executor.CELERY)
        is_named = all(
            word in text for word in asked.words
        )  # "sales lo" is Sales loads, else the logs of Sales
        if (
            page
            and there
            and not is_named
            and all(word in text for word in rest)
            and may(by_id[row.workspace_id], page.needs)
        ):
            hits.append(_deployment(row, by_id, page))
        else:
            hits.append(_deployment(row, by_id))
    return _cut("Deployments", hits, asked.most)


def _page_of(words: Sequence[str]) -> tuple[DeploymentPage | None, tuple[str, ...]]:
    """The page that the last words name, and the words before them; none when nothing is left or no page is named."""
    for count in (2, 1):
        rest, last = tuple(words[:-count]), words[-count:]
        if not rest:
            continue
        for page in OF_A_DEPLOYMENT:
            if all(any(known.startswith(word) for known in page.words) for word in last):
                return page, rest
    return None, ()
