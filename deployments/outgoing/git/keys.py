"""Keys for reading a repository by SSH, and the fingerprints by which people know a server's."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def make(comment: str) -> tuple[str, str]:
    """A new pair: the private half for signing in, and the public one in a line for the Git host."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return private, f"{public} {comment}"


def fingerprint(line: str) -> str:
    """SHA256:… of a public key's line, as `ssh-keygen -l` shows it; "" of anything else."""
    parts = line.split()
    if len(parts) < 2:
        return ""
    digest = hashlib.sha256(base64.b64decode(parts[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
