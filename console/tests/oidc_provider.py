"""An OpenID Connect provider on loopback, for tests: discovery, authorization with PKCE, token, keys, user info. Who
signs in, and what goes wrong, is for the test to set. Lets everybody in who comes."""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "airdeck", "canary-oidc-secret"


class Provider:
    """`claims` are those of whoever comes next; `fail` maps a path to a status, `slow` one to seconds."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.fail: dict[str, int] = {}
        self.slow: dict[str, float] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.rotate()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def rotate(self) -> None:
        """Another key."""
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_hex(4)

    def answer(self, path: str, query: dict[str, str], authorization: str) -> tuple[int, Any, str]:
        """Status, body, and where to go."""
        if path == "/.well-known/openid-configuration":
            names = ("authorization", "token", "userinfo")
            found = {f"{name}_endpoint": f"{self.url}/{name}" for name in names}
            return 200, {**found, "issuer": self.url, "jwks_uri": f"{self.url}/keys"}, ""
        if path == "/keys":
            key = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return 200, {"keys": [{**key, "kid": self.kid, "alg": "RS256", "use": "sig"}]}, ""
        if path == "/authorization":
            code = secrets.token_urlsafe(16)
            self.codes[code] = query
            back = urlencode({"code": code, "state": query["state"]})
            return 302, {}, f"{query['redirect_uri']}?{back}"
        if path == "/token":
            asked = self.codes.pop(query["code"])
            proof = hashlib.sha256(query["code_verifier"].encode()).digest()
            assert base64.urlsafe_b64encode(proof).rstrip(b"=").decode() == asked["code_challenge"]
            assert SECRET in (query.get("client_secret", "") + base64.b64decode(authorization[6:]).decode())
            now = int(time.time())
            claims = {**self.claims, "iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300}
            token = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.kid})
            return 200, {"access_token": "access", "token_type": "Bearer", "id_token": token}, ""
        return (200, self.claims, "") if path == "/userinfo" else (404, {}, "")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                self._respond(parts.path, parts.query)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self._respond(urlsplit(self.path).path, self.rfile.read(length).decode())

            def _respond(self, path: str, fields: str) -> None:
                time.sleep(provider.slow.get(path, 0))
                query = {name: values[0] for name, values in parse_qs(fields).items()}
                if path in provider.fail:
                    status, body, to = provider.fail[path], {}, ""
                else:
                    status, body, to = provider.answer(path, query, self.headers.get("Authorization") or "")
                self.send_response(status)
                if to:
                    self.send_header("Location", to)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler
