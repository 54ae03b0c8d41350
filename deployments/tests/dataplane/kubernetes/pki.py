"""A certificate authority for tests, and a server certificate for 127.0.0.1 made by it."""

import base64
import ipaddress
import json
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deployments.dataplane.kubernetes.api.credentials import Credentials


class Authority:
    """Keys live in memory only."""

    def __init__(self, *, key_usage: bool = True, lasts: timedelta = timedelta(days=2)) -> None:
        self._lasts = lasts
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "airdeck tests")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        basic = x509.BasicConstraints(ca=True, path_length=0)
        authority = self._signed(
            self._name, self._key, (basic, True), *([(usage, True)] if key_usage else [])
        )
        self.ca_pem = authority.public_bytes(serialization.Encoding.PEM).decode()
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        server = self._signed(subject, key, (names, False), (identifier, False))
        self.server_pem = server.public_bytes(serialization.Encoding.PEM).decode() + _private(key)

    def kubeconfig(self, credentials: Credentials) -> str:
        """A kubeconfig for a server of this authority. (JSON is YAML.)"""
        cluster = {
            "server": credentials.server,
            "certificate-authority-data": base64.b64encode(credentials.ca_pem.encode()).decode(),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": credentials.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        return json.dumps(document)

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: tuple[x509.ExtensionType, bool],
    ) -> x509.Certificate:
        begin = datetime.now(UTC) - timedelta(hours=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + self._lasts)
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        for extension, critical in ((identifier, False), *extensions):
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
