"""What uv says when it finds no packages that fit, in our words. Pure.

uv proves that nothing fits: "Because all versions of a depend on b<2 and b==2.0, we can conclude that …". What it
concludes is left out; the facts are given, each once, and a version of the runtime's lock is given as such.
"""

import re
from collections.abc import Mapping

from packaging.utils import canonicalize_name

FACTS = 6  # of one sentence: a longer proof is cut
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?"
PROOF = re.compile(r"(?:Because|And because) (.+?), we can conclude that (.+?)(?=\.\s|\.$|\Z)", re.DOTALL)
NETWORK = (
    "dns error",
    "tcp connect error",
    "error sending request",
    "timed out",
    "connection re",
    "failed to fetch",
    "are disabled because of",  # --offline
)
FULL = ("no space left", "disk quota")
CREDENTIALS = re.compile(r"://[^/\s@]+@")
UNREACHABLE = (
    "The package index cannot be reached, so the packages of requirements.txt cannot be resolved. Check the network "
    "or proxy of this machine and deploy again."
)
DISK = "The disk of this machine is full. Make room and deploy again; the code that runs is not touched."


def is_final(output: str) -> bool:
    """Whether trying again gives the same: uv has proven that nothing fits."""
    return "No solution found" in output


def explain(output: str, runtime: str, pins: Mapping[str, str], python: str = "") -> str:
    """One sentence or a few out of what a failed resolution wrote. `pins` are the versions of the runtime's own
    packages by canonical name."""
    text = " ".join(output.split())
    if is_final(output):
        return _unsatisfiable(text, runtime, pins, python)
    low = text.lower()
    if any(word in low for word in FULL):
        return DISK
    if any(word in low for word in NETWORK):
        return UNREACHABLE
    causes = re.findall(r"^(?:error|\s*cause): (.+)$", output, re.MULTILINE)
    reason = CREDENTIALS.sub("://…@", causes[-1] if causes else "it printed nothing").rstrip(".")
    return f"The packages of requirements.txt cannot be resolved: {reason[:300]}."


def _unsatisfiable(text: str, runtime: str, pins: Mapping[str, str], python: str) -> str:
    facts = _facts(text)
    for fact in facts:
        if found := re.match(rf"({NAME}) was not found in the (?:package registry|provided)", fact):
            missing = f"The package index has no package {found[1]}."
            return f"{missing} Correct its name in requirements.txt, or remove it."
    if source := re.search(r"Wheels are required for `([^`]+)`", text):
        return (
            f"{source[1]} comes as source only, and packages are installed from wheels alone. Choose a version that "
            "has a wheel, or another package."
        )
    sentences = [_in_words(fact, runtime, pins, python) for fact in facts]
    distinct = list(dict.fromkeys(each for each in sentences if each))
    listed = "; ".join(distinct[:FACTS]) + ("; …" if len(distinct) > FACTS else "")
    return f"These do not fit together: {listed}. Change requirements.txt and deploy again."


def _facts(text: str) -> list[str]:
    """What the proof begins with, without what it concludes on its way."""
    concluded: set[str] = set()
    found: list[str] = []
    for premises, conclusion in PROOF.findall(text):
        for fact in re.split(
            r" and (?!/or)(?=(?:all|only|you|we) |[A-Za-z0-9._\[\],-]+(?:[<>=!~ ]))", premises
        ):
            plain = fact.strip()
            if plain and plain not in concluded and plain not in found:
                found.append(plain)
        concluded.add(conclusion.strip())
    return found


def _in_words(fact: str, runtime: str, pins: Mapping[str, str], python: str) -> str:
    """One fact in our words; as uv says it where it is another one."""
    if found := re.fullmatch(rf"(?:you require )?({NAME})==(\S+)", fact):
        name, version = found.groups()
        if pins.get(canonicalize_name(name)) == version:
            return f"runtime {runtime} has {name} {version}"
    if found := re.fullmatch(r"you require (.+)", fact):
        return f"requirements.txt asks for {found[1]}"
    if found := re.fullmatch(rf"(?:all versions of )?({NAME})(?:==(\S+))? depends? on (.+)", fact):
        return f"{_versioned(found[1], found[2])} needs {found[3]}"
    if found := re.fullmatch(rf"({NAME})(?:==(\S+))? requires Python (.+)", fact):
        have = f", and runtime {runtime} has Python {python}" if python else ""
        return f"{_versioned(found[1], found[2])} needs Python {found[3]}{have}"
    if found := re.fullmatch(r"only (.+?) (?:is|are) available", fact):
        return f"the package index has only {found[1]}"
    if found := re.fullmatch(r"there (?:is|are) no versions? of (.+)", fact):
        return f"the package index has no version of {found[1]}"
    return fact


def _versioned(name: str, version: str | None) -> str:
    return f"{name} {version}" if version else name
