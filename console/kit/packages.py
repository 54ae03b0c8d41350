"""How a person gets what this machine lacks. Standard library alone, and Python 3.9: the installer uses it too."""

from __future__ import annotations


def how_to_install(*, debian: str, fedora: str, arch: str) -> str:
    """The end of a refusal: the command on Debian, Fedora and Arch, given what the packages are called there."""
    return f"`apt install {debian}` on Debian, `dnf install {fedora}` on Fedora, `pacman -S {arch}` on Arch"
