"""Reading a requirements.txt ourselves: plain lines of PEP 508 and nothing that makes an installer read other files or
ask other servers (`-r`, `--index-url`, `git+https://…` work in uv and pip). Pure."""

from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS_FILE = "requirements.txt"
REQUIREMENTS_BYTES = 64 * 1024
REQUIREMENTS_LINES = 200


@dataclass(frozen=True)
class RefusedLine:
    """A line that is not taken, and the sentence that says why."""

    number: int
    sentence: str


@dataclass(frozen=True)
class Requirements:
    """What a file asks for, each as one normalized line, in the order of the file; and what of it is not taken."""

    lines: tuple[str, ...]
    refused: tuple[RefusedLine, ...] = ()


def read(content: bytes) -> Requirements:
    """Read a requirements.txt. Never raises: whatever is wrong is in `refused`."""
    if len(content) > REQUIREMENTS_BYTES:
        return Requirements(
            (), (RefusedLine(0, f"{REQUIREMENTS_FILE} may have at most 64 KiB. Shorten it."),)
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        sentence = f"{REQUIREMENTS_FILE} is not UTF-8 text. Save it as UTF-8."
        return Requirements((), (RefusedLine(0, sentence),))
    lines = text.splitlines()
    if len(lines) > REQUIREMENTS_LINES:
        sentence = f"{REQUIREMENTS_FILE} may have at most {REQUIREMENTS_LINES} lines. Shorten it."
        return Requirements((), (RefusedLine(0, sentence),))
    taken: dict[str, str] = {}
    refused: list[RefusedLine] = []
    for number, line in enumerate(lines, 1):
        body = _without_comment(line)
        if not body:
            continue
        sentence = _why_not(body)
        if not sentence:
            requirement = Requirement(body)
            key = f"{canonicalize_name(requirement.name)};{requirement.marker or ''}"
            if key in taken:
                sentence = f"{requirement.name} stands in two lines. Keep one of them."
            taken.setdefault(key, str(requirement))
        if sentence:
            refused.append(RefusedLine(number, sentence))
    return Requirements(tuple(taken.values()), tuple(refused))


def refusal(requirements: Requirements) -> str:
    """What is wrong with a file, in a sentence; "" when it is taken."""
    if not requirements.refused:
        return ""
    first, *others = requirements.refused
    where = f"{REQUIREMENTS_FILE}, line {first.number}: " if first.number else ""
    more = f" {len(others)} more lines are not taken either." if len(others) > 1 else ""
    more = " One more line is not taken either." if len(others) == 1 else more
    return f"{where}{first.sentence}{more}"


def _without_comment(line: str) -> str:
    """A `#` begins a comment at the start of a line or after a blank, as in pip."""
    if line.lstrip().startswith("#"):
        return ""
    head, _, _ = line.replace("\t", " ").partition(" #")
    return head.strip()


def _why_not(body: str) -> str:
    """Why a line is not taken; "" when it is."""
    if body.startswith("-"):
        return f"Options such as {body.split(maxsplit=1)[0][:40]} are not taken here. Keep only names and versions."
    if body.endswith("\\"):
        return "A requirement stands on one line here. Join the lines and leave out hashes."
    if "://" in body.split(";", maxsplit=1)[0] or body.startswith((".", "/", "file:")):
        return "Addresses and paths are not taken here. Name a package of the index, as in pandas>=2."
    try:
        requirement = Requirement(body)
    except InvalidRequirement:
        return "This is not a requirement such as pandas>=2,<3. Correct or remove the line."
    if requirement.url:
        return "Addresses and paths are not taken here. Name a package of the index, as in pandas>=2."
    return ""
