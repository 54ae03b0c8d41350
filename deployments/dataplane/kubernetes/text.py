"""Words for people from what a cluster says. Text from a cluster is hostile: anybody who may make a pod there may put
anything into it. Pure."""

import re
from datetime import datetime

from deployments.domain import component_titles
from deployments.domain.log_lines import UNPRINTABLE

LONGEST = 600  # characters of foreign text in one sentence
_MEMORY = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def clean(text: object, limit: int = LONGEST) -> str:
    """One line without colours, control and direction characters, at most `limit` characters long."""
    if not isinstance(text, str):
        return ""
    plain = " ".join(UNPRINTABLE.sub(" ", text[: limit * 8]).split())
    return plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "…"


def clause(text: object, limit: int = LONGEST) -> str:
    """Foreign text as the end of a sentence of ours: cleaned, and without a full stop of its own."""
    return clean(text, limit).rstrip(" .:;,")


def title(component: str) -> str:
    """See `component_titles.title`; the name may come from a pod's label, which anyone may have written."""
    return component_titles.title(clean(component, 80)) or "A pod"


def moment(value: object) -> datetime | None:
    """A Kubernetes timestamp, with or without fractions of a second; None when there is none or it is nonsense."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and value else None
    except ValueError:
        return None


def cores(quantity: str) -> float | None:
    """A CPU quantity in cores: "15500m" -> 15.5. None when it is none."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(m?)", quantity)
    return float(found[1]) / (1000 if found[2] else 1) if found else None


def memory(quantity: str) -> float | None:
    """A memory quantity in bytes: "2Gi" -> 2147483648. None when it is none."""
    found = re.fullmatch(r"([0-9]{1,16}(?:\.[0-9]{1,9})?)(|k|M|G|Ki|Mi|Gi|Ti)", quantity)
    return float(found[1]) * _MEMORY[found[2]] if found else None


def gib(size: float) -> str:
    """Bytes for people: "2 GiB", "0.5 GiB", "384 MiB"."""
    if size < 2**29:
        return f"{size / 2**20:.0f} MiB"
    return f"{size / 2**30:.2f}".rstrip("0").rstrip(".") + " GiB"
