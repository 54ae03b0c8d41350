"""Applies a fence to this process, which is about to become a program of a Deployment. There is no way back.

    {"uid": 41000 or null, "groups": [998], "landlock": true or false,
     "read": […], "write": […], "listen": [[first, last], …]}

`uid` is an account of the Deployment's own; null is that of the console. `listen` are ranges of TCP ports. Standard
library only.
"""

import ctypes
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from deployments.dataplane.local.fence import landlock, system

PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_SECUREBITS = 4, 24, 28
# Root gains no capability by starting a program: SECBIT_NOROOT, no ambient ones, no keeping; all locked. (Not
# NO_SETUID_FIXUP: a change of user must take the capabilities away.)
SECUREBITS = 0b11100011
HEADER_VERSION = 0x20080522  # of capset(2)
LAST_CAPABILITY = 63


class CannotConfine(Exception):
    """Why the fence cannot be put up, as a part of a sentence."""


def confine(fence: Mapping[str, Any] | None) -> None:
    """Put up the fence; None is no fence. Raises CannotConfine: then nothing of the Deployment may run here.

    The process must have one thread.
    """
    if fence is None:
        return
    try:
        if os.getuid() == 0:
            _no_capabilities_again()
            os.setgroups(fence["groups"])
            if fence["uid"] is not None:
                _become(fence["uid"])
            _without_capabilities()
        if fence["landlock"]:
            landlock.restrict(_paths(fence), _ports(fence["listen"]))
        else:
            landlock.forgo_new_privileges()
    except OSError as error:
        raise CannotConfine(f"the fence cannot be put up ({error.strerror or error})") from None


def _paths(fence: Mapping[str, Any]) -> "list[tuple[str, int]]":
    return [
        *system.paths(root=os.getuid() == 0),
        *((path, landlock.READ) for path in fence["read"]),
        *((path, landlock.WRITE) for path in fence["write"]),
    ]


def _ports(ranges: Iterable[Sequence[int]]) -> Iterable[int]:
    return (port for first, last in ranges for port in range(first, last + 1))


def _become(uid: int) -> None:
    """Another user, for good. Its pipes to supervisord are its own, so that it may open /dev/stdout."""
    for stream in (1, 2):
        if stat.S_ISFIFO(os.fstat(stream).st_mode):
            os.fchown(stream, uid, uid)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A change of user hides a process's own /proc entries from it; Landlock and the user keep others out.
    _prctl(PR_SET_DUMPABLE, 1)


def _no_capabilities_again() -> None:
    """What this process and its children may ever have again: none. Those it has, it keeps for a moment. Root of a
    container may lack the right to do that (CAP_SETPCAP); then it is left to no_new_privs."""
    with suppress(PermissionError):
        _drop_what_may_be_had()


def _drop_what_may_be_had() -> None:
    for capability in range(LAST_CAPABILITY + 1):
        try:
            _prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            if capability == 0:
                raise
            break  # the kernel knows no further ones
    _prctl(PR_SET_SECUREBITS, SECUREBITS)


def _without_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(HEADER_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
