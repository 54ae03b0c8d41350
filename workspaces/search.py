"""What a person may find of tenancy: the own Workspaces with the role in each, and the people in them."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Case, IntegerField, Q, Value, When
from django.db.models.functions import Lower

from workspaces.models import Membership, User


def memberships(user: User) -> list[Membership]:
    """The person's memberships, each with its Workspace, by the name of the Workspace. One query."""
    return list(
        Membership.objects.filter(user=user)
        .select_related("workspace")
        .order_by(Lower("workspace__name"), "workspace_id")
    )


def people(workspace_ids: Sequence[UUID], words: Sequence[str], most: int) -> list[Membership]:
    """At most `most` members of these Workspaces whose name or address holds every word; those that begin with
    the first word come first. One query."""
    rows = Membership.objects.filter(workspace_id__in=workspace_ids, user__is_active=True)
    for word in words:
        rows = rows.filter(Q(user__name__icontains=word) | Q(user__email__icontains=word))
    begins = Q(user__name__istartswith=words[0]) | Q(user__email__istartswith=words[0])
    rank = Case(When(begins, then=Value(0)), default=Value(1), output_field=IntegerField())
    found = rows.select_related("user", "workspace").order_by(rank, Lower("user__name"), "user__email", "pk")
    return list(found[:most])
