"""A small OIDC issuer on this machine, whose tokens PyJWT and cryptography make."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

KINDS = {
    "RS256": (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), jwt.algorithms.RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, jwt.algorithms.OKPAlgorithm),
}


class Issuer:
    """Keys by their ids, of which it publishes those in `published`."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, object]] = {}
        self.published: set[str] = set()
        self.requests: list[str] = []
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                answers = {"/.well-known/openid-configuration": issuer.configuration, "/keys": issuer.key_set}
                answer = answers.get(self.path)
                body = json.dumps(answer() if answer else {}).encode()
                self.send_response(200 if answer else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Issuer":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def configuration(self) -> dict:
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "id_token_signing_alg_values_supported": list(KINDS)}

    def key_set(self) -> dict:
        return {"keys": [self.public_key(kid) for kid in sorted(self.published)]}

    def public_key(self, kid: str) -> dict:
        algorithm, key = self.keys[kid]
        return KINDS[algorithm][1].to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig", "alg": algorithm}

    def add_key(self, kid: str, algorithm: str = "RS256", published: bool = True) -> None:
        self.keys[kid] = (algorithm, KINDS[algorithm][0]())
        if published:
            self.published.add(kid)

    def claims(self, **changes) -> dict:
        """The claims of a good token; a claim that is None is left out."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": "reports", "sub": "crm", "iat": now, "exp": now + 600} | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, kid: str, **changes) -> str:
        algorithm, key = self.keys[kid]
        return jwt.encode(self.claims(**changes), key, algorithm=algorithm, headers={"kid": kid})
