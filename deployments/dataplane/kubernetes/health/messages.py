"""Sentences for the messages in which Kubernetes hides a cause: image pulls, quotas, policies, scheduling, mounts. Each
says what is wrong and what to do. Pure."""

import re
from collections.abc import Mapping

from deployments.dataplane.kubernetes.text import clause, cores, gib, memory

_NODES = re.compile(r"0/(\d+) nodes are available: (.*?)(?:\. preemption:.*|\. no new claims.*|$)")
_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.*?), used: (.*?), limited: (.*)$")
_MISSING = re.compile(r'\b(secret|configmap) "([^"]{1,253})" not found', re.IGNORECASE)
_MISSING_KEY = re.compile(r"couldn't find key (\S{1,253}) in (Secret|ConfigMap) (?:[^/\s]+/)?(\S{1,253})")
_WEBHOOK = re.compile(
    r'admission webhook "([^"]{1,253})" denied the request(?: without explanation)?:? ?(.*)'
)
_WEBHOOK_LOST = re.compile(r'failed calling webhook "([^"]{1,253})"')
_KINDS = {"secret": "Secret", "configmap": "ConfigMap"}


def image_pull(
    subject: str, image: str, reason: str, message: str, *, whose: str = " of its runtime", secret: str = ""
) -> str:
    """Why an image cannot be had. `whose` image it is, and what to do about a login that is missing or wrong."""
    what, text = f"{subject} can't pull {clause(image, 300) or 'its image'}", message.lower()
    if reason == "InvalidImageName":
        return f"{what}: that is not a valid name of an image. Correct the image{whose}."
    if "toomanyrequests" in text or "rate limit" in text:
        return (
            f"{what}: the registry limits how often images are pulled. Mirror it, or sign in to the registry."
        )
    if any(
        word in text
        for word in ("denied", "unauthorized", "authentication required", "forbidden", "no basic auth")
    ):
        return f"{what}: the registry denies access. {secret or "Check the image pull secret and the image's name."}"
    if "not found" in text or "manifest unknown" in text:
        return f"{what}: the registry has no such image. Check the image and the tag{whose}."
    if any(
        word in text
        for word in ("timeout", "deadline exceeded", "no such host", "connection refused", "x509")
    ):
        return f"{what}: the registry does not answer its node ({_tail(message)}). Check the nodes' network."
    if "no match for platform" in text or "exec format" in text:
        return f"{what}: there is none for this kind of machine. Choose an image for the nodes' architecture."
    return f"{what}: {_tail(message) or 'no reason given'}. Check the image, the tag and the registry credentials."


def creation(subject: str, message: str) -> str:
    """Why a pod was not even made."""
    if found := _QUOTA.search(message):
        return _quota(subject, found[1], found[2], found[3], found[4])
    if "violates PodSecurity" in message:
        policy, _, fields = message.partition("violates PodSecurity")[2].strip().partition(": ")
        which = clause(policy).strip('"')
        return (
            f"The cluster's Pod Security policy {which} rejected the pod of {subject}: {clause(fields, 300)}. "
            "Ask the cluster's administrator to allow it for this namespace."
        )
    if found := _WEBHOOK.search(message):
        why = clause(found[2], 300) or "it gives no reason"
        return f"Policy {clause(found[1])} of the cluster rejected the pod of {subject}: {why}. Ask its administrator."
    if found := _WEBHOOK_LOST.search(message):
        return (
            f"No pod of {subject} can be made: the cluster's admission webhook {clause(found[1])} does not answer. "
            "Ask the cluster's administrator to fix it."
        )
    if 'serviceaccount "' in message and "not found" in message:
        return f"No pod of {subject} can be made: its service account is missing. Airdeck makes it again by itself."
    return f"The cluster makes no pod of {subject}: {clause(message, 300) or 'no reason given'}."


def unschedulable(subject: str, message: str, asked: Mapping[str, str]) -> str:
    """Why no node takes the pod."""
    size = " and ".join(
        text for text in (_cpu(asked.get("cpu", "")), _memory(asked.get("memory", ""))) if text
    )
    need = f"No node has {size} free for {subject}" if size else f"No node takes the pod of {subject}"
    if found := _NODES.search(message):
        why = f"0 of {found[1]} fit: {clause(found[2], 300)}"
    else:
        why = clause(message, 300) or "the scheduler gives no reason"
    return f"{need} ({why}). Add a node, free some capacity, or choose a smaller size."


def missing(subject: str, message: str) -> str | None:
    """Which Secret or ConfigMap a pod waits for; None when the message is about something else."""
    if found := _MISSING.search(message):
        what = f"{_KINDS[found[1].lower()]} {clause(found[2], 253)}"
    elif found := _MISSING_KEY.search(message):
        what = f"Key {clause(found[1], 253)} of {found[2]} {clause(found[3], 253)}"
    else:
        return None
    return f"{what} is missing, so the pod of {subject} can't start. What is Airdeck's own is made again by itself."


def evicted(subject: str, message: str) -> str:
    """Why a node threw the pod out."""
    text = message.lower()
    if "ephemeral" in text or "disk" in text or "inodes" in text:
        return (
            f"The node ran out of disk space, so the pod of {subject} was evicted ({clause(message, 200)}). "
            "Write less to local files, or give the node more disk."
        )
    if "memory" in text:
        return (
            f"The node ran out of memory, so the pod of {subject} was evicted ({clause(message, 200)}). "
            "Use nodes with more memory, or smaller sizes."
        )
    return f"The pod of {subject} was evicted from its node: {clause(message, 300) or 'no reason given'}."


def _quota(subject: str, name: str, requested: str, used: str, limited: str) -> str:
    asked, taken, most = (_amounts(text) for text in (requested, used, limited))
    for resource, amount in asked.items():
        have, room = taken.get(resource, ""), most.get(resource, "")
        if room and _exceeds(resource, amount, have, room):
            return (
                f"Quota {clause(name, 253)} allows {_amount(resource, room, unit=True)}; {_amount(resource, have)} "
                f"taken, and a pod of {subject} needs {_amount(resource, amount)} more. Free some, or have it raised."
            )
    return f"Quota {clause(name, 253)} has no room for a pod of {subject} ({clause(requested, 200)} asked)."


def _exceeds(resource: str, amount: str, have: str, room: str) -> bool:
    read = cores if resource.endswith("cpu") else memory
    values = [read(text) for text in (amount, have or "0", room)]
    if any(value is None for value in values):
        return True
    more, there, most = (value or 0.0 for value in values)
    return more + there > most


def _amounts(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in clause(text).split(","))
    return {key.strip(): value.strip() for key, _, value in pairs if value}


def _amount(resource: str, value: str, *, unit: bool = False) -> str:
    """A quantity for people; with its `unit` where a bare number would be unclear."""
    if resource.endswith(("memory", "storage")):
        return _memory(value) or clause(value, 40)
    if resource.endswith("cpu"):
        return (_cpu(value) or clause(value, 40)).removesuffix("" if unit else " CPU")
    return f"{clause(value, 40)} {clause(resource, 80)}" if unit else clause(value, 40)


def _cpu(quantity: str) -> str:
    found = cores(quantity)
    return "" if found is None else f"{found:g} CPU"


def _memory(quantity: str) -> str:
    found = memory(quantity)
    return "" if found is None else gib(found)


def _tail(message: str) -> str:
    """The innermost words of an error that wraps others."""
    return clause(message.rsplit(": ", 1)[-1], 200)
