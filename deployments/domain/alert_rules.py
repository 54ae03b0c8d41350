"""What an alert rule may watch for: kinds, amounts, limits, and the sentences about them. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from console.kit.wording import counted

DAG_LENGTH = 250  # of a DAG's name, in Airflow's own table
MOST_CHANNELS = 20  # of a Workspace
MOST_RULES = 100  # of a Workspace, and of a Deployment
MOST_ADDRESSES = 10  # of one channel
CHANNEL_NAME_LENGTH = 64
URL_LENGTH = 2000
SILENCE_HOURS = (1, 4, 24, 168)
BUSY = frozenset({429, 503})  # statuses of a webhook whose Retry-After counts (RFC 6585, RFC 9110)


class RuleKind(StrEnum):
    """What a rule watches for."""

    UNHEALTHY = "unhealthy"
    STALLED = "stalled"
    DEPLOY_FAILED = "deploy_failed"
    RUN_FAILED = "run_failed"
    NO_SUCCESS = "no_success"
    QUEUE_WAITING = "queue_waiting"
    QUEUE_MISSING = "queue_missing"
    IMPORT_ERRORS = "import_errors"
    SCHEDULER_SILENT = "scheduler_silent"
    RUNTIME_ENDING = "runtime_ending"
    TOKEN_ENDING = "token_ending"  # noqa: S105 - a word


class ChannelKind(StrEnum):
    """Where a channel leads."""

    ADMINS = "admins"
    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"

    @property
    def label(self) -> str:
        """The words on the page."""
        return _CHANNEL_LABELS[self]

    @property
    def is_mail(self) -> bool:
        """Whether it leads to mailboxes; the others are addresses on the web."""
        return self in {ChannelKind.ADMINS, ChannelKind.EMAIL}


_CHANNEL_LABELS = {
    ChannelKind.ADMINS: "Email to all Admins",
    ChannelKind.EMAIL: "Email",
    ChannelKind.WEBHOOK: "Webhook",
    ChannelKind.SLACK: "Slack",
}


@dataclass(frozen=True)
class Amount:
    """How long a condition has to last, or how far ahead one looks: the unit in words, its least, most and default."""

    unit: str  # "minute", "hour" or "day"
    least: int
    most: int
    default: int

    def text(self, number: int) -> str:
        """ "5 minutes"."""
        return counted(number, self.unit)

    @property
    def sentence(self) -> str:
        """What is asked for."""
        return f"Enter {self.least} to {self.most:,} {self.unit}s."


@dataclass(frozen=True)
class RuleDescription:
    """One kind of rule, for the page that offers it."""

    label: str
    sentence: str
    title: str  # of a rule; {amount} and {dag} are filled in
    amount: Amount | None = None
    of_dag: bool = False  # each rule is about one DAG
    of_workspace: bool = False  # about the Workspace, not about a Deployment
    usual: bool = False  # among those that one click switches on


KINDS: dict[RuleKind, RuleDescription] = {
    RuleKind.UNHEALTHY: RuleDescription(
        "Unhealthy",
        "A Deployment is Unhealthy for some minutes.",
        "Unhealthy for {amount}",
        Amount("minute", 1, 1440, 5),
        usual=True,
    ),
    RuleKind.STALLED: RuleDescription(
        "Stalled",
        "Creating or changing a Deployment takes much longer than usual.",
        "Stalled",
        usual=True,
    ),
    RuleKind.DEPLOY_FAILED: RuleDescription(
        "Deploy failed", "A deploy of code fails.", "Deploy failed", usual=True
    ),
    RuleKind.RUN_FAILED: RuleDescription(
        "DAG run failed",
        "The newest finished run of a DAG failed. One alert per DAG, resolved by its next success.",
        "DAG run failed",
        usual=True,
    ),
    RuleKind.NO_SUCCESS: RuleDescription(
        "No success of a DAG",
        "A DAG has had no successful run for some hours.",
        "No success of {dag} in {amount}",
        Amount("hour", 1, 720, 24),
        of_dag=True,
    ),
    RuleKind.QUEUE_WAITING: RuleDescription(
        "Worker queue waiting",
        "Tasks wait in a worker queue that has all the workers it may have.",
        "Worker queue waiting for {amount}",
        Amount("minute", 1, 1440, 10),
    ),
    RuleKind.QUEUE_MISSING: RuleDescription(
        "Worker queue that does not exist",
        "Tasks wait in a worker queue that the Deployment does not have: no worker will ever take them.",
        "Worker queue that does not exist",
    ),
    RuleKind.IMPORT_ERRORS: RuleDescription(
        "Import errors",
        "Airflow cannot import files of the deployed code. It goes on with their previous version, if there is one.",
        "Import errors",
    ),
    RuleKind.SCHEDULER_SILENT: RuleDescription(
        "Scheduler silent",
        "No scheduler has reported for some minutes: nothing new is started.",
        "Scheduler silent for {amount}",
        Amount("minute", 2, 1440, 10),
    ),
    RuleKind.RUNTIME_ENDING: RuleDescription(
        "Runtime ending",
        "The maintenance of a Deployment's runtime ends within some days, or has ended.",
        "Runtime ending within {amount}",
        Amount("day", 1, 180, 30),
    ),
    RuleKind.TOKEN_ENDING: RuleDescription(
        "API token expiring",
        "An API token of the Workspace or of one of its Deployments expires within some days.",
        "API token expiring within {amount}",
        Amount("day", 1, 90, 7),
        of_workspace=True,
    ),
}
USUAL = tuple(kind for kind, each in KINDS.items() if each.usual)


def title(kind: RuleKind, amount: int | None, dag: str = "") -> str:
    """A rule in words: "Unhealthy for 5 minutes"."""
    about = KINDS[kind]
    text = about.amount.text(amount) if about.amount and amount is not None else ""
    return about.title.format(amount=text, dag=dag)


def rule_problems(kind: RuleKind, amount: int | None, dag: str, *, of_deployment: bool) -> dict[str, str]:
    """What is wrong with a rule as it is asked for, by field."""
    about, found = KINDS[kind], {}
    if of_deployment and about.of_workspace:
        found["kind"] = f"“{about.label}” is about the Workspace. Set it on the Alerts page of the Workspace."
    if about.amount and (amount is None or not about.amount.least <= amount <= about.amount.most):
        found["amount"] = about.amount.sentence
    if about.of_dag and not dag:
        found["dag"] = "Enter the name of the DAG as Airflow shows it."
    if len(dag) > DAG_LENGTH or not dag.isprintable():
        found["dag"] = f"Enter the name of the DAG as Airflow shows it, at most {DAG_LENGTH} characters."
    return found


def read_addresses(text: str) -> list[str]:
    """What stands between commas, spaces and line ends, each once and in order."""
    return list(dict.fromkeys(filter(None, text.replace(",", " ").replace(";", " ").split())))


# What Django's validator takes, less names in quotes: mail servers read those, comments and a second @ in ways of their
# own, and so may deliver to another domain than the one that is judged here.
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_MAILBOX = re.compile(
    rf"{_WORD}(?:\.{_WORD})*@(?:localhost|(?:{_LABEL}\.)+(?:xn--[a-z0-9]{{1,59}}|[^\W\d_]{{2,63}}))",
    re.IGNORECASE,
)


def may_be_mailed(address: str, members: Iterable[str], domains: Iterable[str]) -> bool:
    """Whether alerts may be mailed there: to an address of `members`, or of one of `domains`, which the operator
    lists: an installation mails strangers only what its operator wants."""
    if address.lower() in {each.lower() for each in members}:
        return True
    domain = address.rpartition("@")[2].lower()
    return _is_mailbox(address) and domain in {each.lower().lstrip("@") for each in domains}


def _is_mailbox(address: str) -> bool:
    return len(address) <= 254 and _MAILBOX.fullmatch(address) is not None


def address_problem(
    addresses: Iterable[str], members: Iterable[str], domains: Iterable[str], *, kept: Iterable[str] = ()
) -> str:
    """Why alerts may not be mailed to these, as `may_be_mailed` judges, or "". Those in `kept` stood in the channel
    before, and are judged when something is sent."""
    every, known = list(addresses), [*members, *kept]
    if not every:
        return "Enter at least one email address."
    if len(every) > MOST_ADDRESSES:
        return f"Enter at most {MOST_ADDRESSES} email addresses. Use another channel for more."
    for each in every:
        if may_be_mailed(each, known, domains):
            continue
        if not _is_mailbox(each):
            return f"“{each[:100]}” is not an email address."
        return (
            f"{each[:100]} is not a member of this Workspace. Enter addresses of members, or ask a site "
            f"administrator to list {each.rpartition('@')[2][:100]} in ALERT_EMAIL_DOMAINS."
        )
    return ""
