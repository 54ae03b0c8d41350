"""What an alert says, in a mail, to Slack and as JSON. Pure: a Message in, texts out. A Message is stored with each
delivery, so that sending it again says the same."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from console.kit.text import one_line
from console.kit.wording import rough

VERSION = 1  # of the JSON; what is added keeps it
SUBJECT_LENGTH = 180
MOST_LINES = 50  # of a digest
EVENT_WORDS = {
    "opened": "",
    "reminded": "Still: ",
    "resolved": "Resolved: ",
    "test": "Test: ",
    "digest": "",
}


@dataclass(frozen=True)
class Message:
    """One event of one alert, for every channel. Times are ISO 8601 in UTC; paths are of this console."""

    event: str  # of EVENT_WORDS
    headline: str  # "Analytics is Unhealthy", without a full stop
    sentence: str = ""  # why, as the page says it
    kind: str = ""  # of the rule
    rule: str = ""  # in words
    subject: str = ""  # what it is about within the Deployment: a DAG, a queue
    workspace: str = ""
    workspace_id: str = ""
    deployment: str = ""
    release_name: str = ""
    alert_id: str = ""
    opened_at: str = ""
    at: str = ""  # when the event was
    path: str = ""  # where to look
    rules_path: str = ""  # where to silence it
    lines: tuple[str, ...] = ()  # of a digest
    more: int = 0  # lines that a digest leaves out

    def stored(self) -> dict[str, Any]:
        """The message as its row keeps it."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Message":
        """What `stored` made, also by an earlier or a later Airdeck."""
        known = {name: value for name, value in stored.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, "lines": tuple(known.get("lines", ()))})

    @property
    def title(self) -> str:
        """Subject and first line: what happened, and where."""
        where = f" ({one_line(self.workspace)})" if self.workspace else ""
        return f"{EVENT_WORDS.get(self.event, '')}{one_line(self.headline)}{where}"


def subject(message: Message) -> str:
    """The subject of the mail, on one line."""
    return message.title[:SUBJECT_LENGTH]


def mail(message: Message, base_url: str) -> str:
    """The text of the mail."""
    parts = [f"{_opening(message)}{one_line(message.headline)}."]
    if message.event == "digest":
        parts.append("\n".join(f"- {one_line(line)}" for line in message.lines))
        if message.more:
            parts.append(f"And {message.more:,} more.")
    elif message.sentence:
        parts.append(one_line(message.sentence))
    if rows := _rows(message):
        width = max(len(label) for label, _ in rows) + 2
        parts.append("\n".join(f"{label:<{width}}{value}" for label, value in rows))
    if message.path:
        parts.append(f"Open it:\n{_link(message.path, base_url)}")
    parts.append(_ending(message, base_url))
    return "\n\n".join(parts) + "\n"


def _opening(message: Message) -> str:
    return {
        "reminded": f"Still open{_for(message)}: ",
        "resolved": "Resolved: ",
        "test": "This is a test. ",
    }.get(message.event, "")


def _for(message: Message) -> str:
    if not message.opened_at or not message.at:
        return ""
    span = datetime.fromisoformat(message.at) - datetime.fromisoformat(message.opened_at)
    return f" after {rough(span.total_seconds())}"


def _rows(message: Message) -> list[tuple[str, str]]:
    rows = []
    if message.deployment:
        rows.append(("Deployment", f"{one_line(message.deployment)} ({message.release_name})"))
    if message.workspace:
        rows.append(("Workspace", one_line(message.workspace)))
    if message.opened_at and message.event != "digest":
        rows.append(("Since", _moment(message.opened_at)))
    if message.at and message.event == "resolved":
        rows.append(("Until", _moment(message.at)))
    return rows


def _moment(text: str) -> str:
    at = datetime.fromisoformat(text)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def _ending(message: Message, base_url: str) -> str:
    if message.event == "test":
        return f"Nothing is wrong: a person tested this channel.\n{_link(message.rules_path, base_url)}"
    why = f"Sent by the alert rule “{one_line(message.rule)}” of Airdeck."
    if message.event == "digest":
        why += " It had already sent as many messages as a rule may send in an hour."
    return f"{why} Silence it or change the rule:\n{_link(message.rules_path, base_url)}"


def _link(path: str, base_url: str) -> str:
    return urljoin(f"{base_url}/", path)


def slack(message: Message, base_url: str) -> bytes:
    """For an incoming webhook of Slack, and of those that take the same: Mattermost, Rocket.Chat, Discord's /slack."""
    mark = {"opened": ":red_circle:", "reminded": ":red_circle:", "resolved": ":large_green_circle:"}
    icon = mark.get(message.event, ":information_source:")
    lines = [f"{icon} *{_slack_text(message.title)}*"]
    if message.event == "digest":
        lines += [f"• {_slack_text(line)}" for line in message.lines[:10]]
        left = len(message.lines) - 10 + message.more
        lines += [f"And {left:,} more."] if left > 0 else []
    elif message.sentence:
        lines.append(_slack_text(message.sentence))
    if where := message.path or message.rules_path:
        lines.append(f"<{_link(where, base_url)}|Open in Airdeck>")
    return json.dumps({"text": "\n".join(lines)}).encode()


def _slack_text(text: str) -> str:
    """Slack's own rules of escaping: nothing of a name is a link, a mention or markup."""
    plain = one_line(text)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        plain = plain.replace(sign, entity)
    return plain.replace("*", "∗").replace("`", "'")


def webhook(message: Message, base_url: str) -> bytes:
    """The JSON of a webhook. Keys are only ever added."""
    body: dict[str, Any] = {
        "version": VERSION,
        "event": f"alert.{message.event}",
        "title": message.title,
        "headline": message.headline,
        "sentence": message.sentence,
        "rule": {"kind": message.kind, "title": message.rule},
        "subject": message.subject,
        "workspace": {"id": message.workspace_id, "name": message.workspace},
        "deployment": {"release_name": message.release_name, "name": message.deployment}
        if message.release_name
        else None,
        "alert": {
            "id": message.alert_id,
            "opened_at": message.opened_at or None,
            "resolved_at": (message.at or None) if message.event == "resolved" else None,
        }
        if message.alert_id
        else None,
        "url": _link(message.path or message.rules_path, base_url),
    }
    if message.event == "digest":
        body |= {"lines": list(message.lines), "more": message.more}
    return json.dumps(body).encode()
