"""The rules of environment variables, and what a change to them would do. Pure: no Django, no I/O."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployments.domain.launch_variables import why_no_value
from deployments.domain.reserved_variables import reserved

KEY_LENGTH = 255
VALUE_BYTES = 32 * 1024
TOTAL_BYTES = 1024 * 1024  # of names and values in UTF-8; what one Kubernetes Secret or ConfigMap holds
COUNT = 500
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # tab, newline and carriage return are text
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# What our pages, or others, show in place of a secret.
_MASK = re.compile(r"[•●∙·⋅*×xX…]{3,}|[Ss]ecret(, set .*| changed)|\[?(?i:redacted|hidden|masked)\]?")


@dataclass(frozen=True, repr=False)
class Setting:
    """The value of one variable, in the clear. Never logged: no repr."""

    value: str
    secret: bool


@dataclass(frozen=True, repr=False)
class DotenvEntry:
    """One variable as a `.env` text sets it; `line` counts from 1."""

    line: int
    key: str
    value: str


@dataclass(frozen=True)
class RejectedLine:
    """Why a line, or a variable, is not taken. `key` is "" unless it is a proper name; no value is ever in it."""

    line: int  # 0 when there is no line
    key: str
    reason: str


@dataclass(frozen=True, repr=False)
class VariableChange:
    """One variable before and after; None where it does not exist."""

    key: str
    old: Setting | None
    new: Setting | None

    @property
    def secret(self) -> bool:
        """Whether neither value may be shown."""
        return any(each.secret for each in (self.old, self.new) if each)


@dataclass(frozen=True, repr=False)
class VariableDifference:
    """What applying would do. `problem` is a sentence when it cannot be applied as a whole."""

    added: tuple[VariableChange, ...] = ()
    changed: tuple[VariableChange, ...] = ()
    removed: tuple[VariableChange, ...] = ()
    unchanged: tuple[str, ...] = ()
    refused: tuple[RejectedLine, ...] = ()
    problem: str = ""

    def __bool__(self) -> bool:
        """Whether anything would change."""
        return bool(self.added or self.changed or self.removed)

    def names(self) -> dict[str, list[str]]:
        """The names of what changes, by kind."""
        kinds = {"added": self.added, "changed": self.changed, "removed": self.removed}
        return {kind: [change.key for change in changes] for kind, changes in kinds.items()}


def problem_of_key(key: str) -> str:
    """Why this cannot be a variable's name; "" when it can."""
    if not key:
        return "Enter a key."
    if len(key) > KEY_LENGTH:
        return f"Enter a key of at most {KEY_LENGTH} characters; this one has {len(key)}."
    if not _KEY.fullmatch(key):
        return "A key is made of letters, digits and underscores, and begins with a letter or an underscore."
    return ""


def takes_effect(key: str, value: str) -> bool:
    """Whether a variable that is stored may reach a process: rules grow, and what is stored outlives them."""
    return not reserved(key) and not why_no_value(key, value)


def problem_of_value(value: str) -> str:
    """Why this cannot be a value; "" when it can."""
    if "\x00" in value:
        return "The value holds a NUL character, which no environment can hold."
    if _CONTROL.search(value):
        return "The value holds a control character. Only tabs and line breaks are taken."
    if _SURROGATE.search(value):
        return "The value holds half of a character (a lone surrogate). Enter it again."
    size = len(value.encode())
    if size > VALUE_BYTES:
        return f"The value has {size:,} bytes; a value may have {VALUE_BYTES:,} at most."
    return ""


def is_mask(value: str) -> bool:
    """Whether this is what a page shows in place of a secret, not a secret."""
    return _MASK.fullmatch(value.strip()) is not None


def problem_of_secret(value: str) -> str:
    """Why this cannot be the value of a secret; "" when it can."""
    if not value:
        return "A secret needs a value. Enter one, or make the variable plain."
    if is_mask(value):
        return "This is what is shown in place of a secret. Enter the secret itself."
    return ""


def problem_of_all(settings: Mapping[str, Setting]) -> str:
    """Why so much cannot be set together; "" when it can."""
    if len(settings) > COUNT:
        return f"A Deployment has at most {COUNT} variables; this would make {len(settings)}."
    size = sum(len(key.encode()) + len(each.value.encode()) for key, each in settings.items())
    if size > TOTAL_BYTES:
        return f"All variables together may have {TOTAL_BYTES:,} bytes; this would make {size:,}."
    return ""


def problem_of(key: str, setting: Setting) -> str:
    """Why one variable cannot be set so; "" when it can."""
    return (
        problem_of_key(key)
        or reserved(key)
        or problem_of_value(setting.value)
        or why_no_value(key, setting.value)
        or (problem_of_secret(setting.value) if setting.secret else "")
    )


def difference(
    current: Mapping[str, Setting], desired: Mapping[str, Setting], refused: Iterable[RejectedLine] = ()
) -> VariableDifference:
    """What changes when `desired` replaces everything."""
    both = [key for key in desired if key in current]
    return VariableDifference(
        added=tuple(
            VariableChange(key, None, desired[key]) for key in sorted(desired.keys() - current.keys())
        ),
        changed=tuple(
            VariableChange(k, current[k], desired[k]) for k in sorted(both) if current[k] != desired[k]
        ),
        removed=tuple(
            VariableChange(key, current[key], None) for key in sorted(current.keys() - desired.keys())
        ),
        unchanged=tuple(sorted(key for key in both if current[key] == desired[key])),
        refused=tuple(refused),
        problem=problem_of_all(desired),
    )


def merged(
    current: Mapping[str, Setting], entries: Iterable[DotenvEntry], *, secret: bool
) -> tuple[dict[str, Setting], list[RejectedLine]]:
    """`current` with a `.env` laid over it, and what of it is refused. New variables are secret when `secret`; those
    there are keep their kind, and a secret keeps its value when the file has none, as a downloaded file does."""
    desired, refused = dict(current), []
    for entry in entries:
        old = current.get(entry.key)
        if old is not None and old.secret and not entry.value:
            continue
        new = Setting(entry.value, old.secret if old else secret)
        reason = problem_of(entry.key, new)
        if reason:
            refused.append(RejectedLine(entry.line, entry.key, reason))
        else:
            desired[entry.key] = new
    return desired, refused


def restored(
    current: Mapping[str, Setting], revision: Mapping[str, Setting]
) -> tuple[dict[str, Setting], list[RejectedLine]]:
    """The variables of a revision as they can be set today: what is secret now stays secret, and a name that has been
    reserved since is refused."""
    desired, refused = {}, []
    for key, then in revision.items():
        now = current.get(key)
        reason = reserved(key) or why_no_value(key, then.value)
        if reason:
            refused.append(RejectedLine(0, key, reason))
        else:
            desired[key] = Setting(then.value, then.secret or (now is not None and now.secret))
    return desired, refused
