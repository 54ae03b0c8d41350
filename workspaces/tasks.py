"""Sends mail. The row says what is due; a message is a hint with an id, and the sweep finds what was lost."""

import smtplib
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog
from allauth.idp.oidc.models import Token as IdentityToken
from celery import shared_task
from django.core.mail import EmailMessage
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from console.kit import mail_tries
from console.kit.mail_tries import BACKOFF_SECONDS
from workspaces import enqueue, invitation_links
from workspaces.invitation_mail import invitation_mail
from workspaces.models import NOT_MAILED, ApiToken, Invitation
from workspaces.token_access import SIGN_IN
from workspaces.token_mail import expiry_mail, new_value_mail, readers

logger = structlog.get_logger(__name__)

BATCH = 50
CLAIM = timedelta(
    seconds=60
)  # longer than a task may run (45 s): a dead sender's mail is sent by the next sweep


@shared_task(name="workspaces.tasks.send_invitation", ignore_result=True)
def send_invitation(pk: str) -> None:
    """Send one invitation's mail if it is due and no other worker sends it."""
    claimed = Invitation.objects.open().filter(
        pk=UUID(pk), mail_state=Invitation.Mail.QUEUED, mail_due_at__lte=Now()
    )
    if not claimed.update(mail_due_at=Now() + CLAIM, mail_tries=F("mail_tries") + 1):
        return
    invitation = Invitation.objects.with_inviter().select_related("workspace").get(pk=UUID(pk))
    if not invitation.is_backed:  # its link opens nothing
        _settle(invitation, Invitation.Mail.FAILED, "Who sent it may no longer invite people. Send it again.")
        return
    token = invitation_links.mailed_token(invitation)
    if token is None:
        _settle(
            invitation, Invitation.Mail.FAILED, "The key of this installation was changed. Send it again."
        )
        return
    try:
        invitation_mail(invitation, token).send()
    except Exception as error:
        _failed(invitation, error)
    else:
        _settle(invitation, Invitation.Mail.SENT, "")


def _failed(invitation: Invitation, error: Exception) -> None:
    logger.warning("invitation_mail_failed", invitation=str(invitation.pk), error=type(error).__name__)
    if why := mail_tries.refusal(error):
        _settle(invitation, Invitation.Mail.FAILED, why)
        return
    if invitation.mail_tries > len(BACKOFF_SECONDS):
        _settle(invitation, Invitation.Mail.FAILED, "The mail server did not take the mail.")
        return
    pause = BACKOFF_SECONDS[invitation.mail_tries - 1]
    _same_links(invitation).update(
        mail_sentence=_sentence(error), mail_due_at=Now() + timedelta(seconds=pause)
    )
    if isinstance(error, OSError) and not mail_tries.answered(error):
        # The server is away: the others would only keep a worker waiting that Deployments need.
        waiting = Invitation.objects.open().filter(mail_state=Invitation.Mail.QUEUED, mail_due_at__lte=Now())
        waiting.update(mail_due_at=Now() + timedelta(seconds=BACKOFF_SECONDS[0]))  # however late this one is


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError | smtplib.SMTPException):
        return f"{mail_tries.delay(error)} It is tried again."
    return "The mail could not be made. It is tried again; the worker's log has the reason."


def _settle(invitation: Invitation, state: str, sentence: str) -> None:
    _same_links(invitation).update(mail_state=state, mail_sentence=sentence)


def _same_links(invitation: Invitation) -> QuerySet[Invitation]:
    """The row, unless it was given new links in the meantime: those have a mail of their own."""
    return Invitation.objects.filter(pk=invitation.pk, nonce=invitation.nonce)


NEW_FOR = timedelta(days=3)  # a mail that no server took by then is not tried again


def mail_new_tokens() -> int:
    """Mail to the people who got a personal API token, or a new value of one: another may have made it, with a session
    or a sign-in of theirs. Also of one that is revoked by now. Claimed as in `warn_of_tokens`. Returns how many."""
    since = timezone.now() - NEW_FOR
    new = ApiToken.objects.filter(
        Q(created_at__gt=since) | Q(rotated_at__gt=since), warned_days=NOT_MAILED, mail_due_at__lte=Now()
    )
    return sum(_mail(token, None, new_value_mail) for token in new.select_related("maker")[:BATCH])


WARN_DAYS = (1, 7)  # before a token expires; a late warning is the only one


def warn_of_tokens() -> int:
    """Warn people of API tokens that expire within a week, and again within a day. Each is claimed by a conditional
    UPDATE, so however many sweep send one mail. Returns how many tokens."""
    warned = 0
    for days in WARN_DAYS:
        # A command line is signed in again by the person who uses it; nothing breaks in between.
        soon = ApiToken.objects.live().exclude(kind=SIGN_IN)
        soon = soon.filter(
            Q(warned_days__isnull=True) | Q(warned_days__gt=days),
            expires_at__lte=timezone.now() + timedelta(days=days),
            created_at__lt=F("expires_at") - timedelta(days=days),  # one made for a day needs no warning
            mail_due_at__lte=Now(),
        )
        for token in soon.select_related("workspace", "maker")[:BATCH]:
            warned += _mail(token, days, expiry_mail)
    return warned


def _mail(token: ApiToken, days: int | None, mail: Callable[[ApiToken, str], EmailMessage]) -> bool:
    before = token.warned_days
    if not ApiToken.objects.filter(pk=token.pk, warned_days=before).update(warned_days=days):
        return False
    token.warned_days = days
    try:
        for address in readers(token):
            mail(token, address).send()
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("token_mail_failed", token=str(token.pk), error=type(error).__name__)
        again = Now() + timedelta(seconds=BACKOFF_SECONDS[-2])
        ApiToken.objects.filter(pk=token.pk, warned_days=days).update(warned_days=before, mail_due_at=again)
        return False
    return True


@shared_task(name="workspaces.tasks.sweep_mail", ignore_result=True)
def sweep_mail() -> int:
    """The guarantee: hint every mail of an invitation that is due, and send those about tokens. Returns how many were
    hinted."""
    mail_new_tokens()
    warn_of_tokens()
    IdentityToken.objects.expired().delete()  # what other tools were given, once its time is over
    due = Invitation.objects.open().filter(mail_state=Invitation.Mail.QUEUED, mail_due_at__lte=timezone.now())
    pks = list(due.order_by("mail_due_at").values_list("pk", flat=True)[:BATCH])
    for pk in pks:
        enqueue.send_invitation(pk)
    return len(pks)
