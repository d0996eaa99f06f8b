"""What `deploy.k8s.keys` makes is all that a deployment asks for, with a store and without."""

import json
import subprocess
import sys
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.k8s.world import production

# Only whoever runs the deployment knows these.
THEIRS = {"smtp_url", "backup_access_key_id", "backup_secret_access_key"}


def _stored() -> dict[str, dict[str, Any]]:
    argv = (sys.executable, "-m", "deploy.k8s.keys", "--store")
    found: dict[str, dict[str, Any]] = json.loads(
        subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    )
    return found


def test_a_store_is_filled_with_all_that_is_asked_of_it() -> None:
    stored = _stored()
    outside = [item for item in production() if item["kind"] == "ExternalSecret"]
    asked = {
        (one["remoteRef"]["key"], one["remoteRef"]["property"]) for item in outside for one in item["spec"]["data"]
    }
    assert {(path, name) for path, values in stored.items() for name in values} == asked
    assert {name for values in stored.values() for name, value in values.items() if value is None} == THEIRS


def test_keys_fit_and_nothing_is_made_twice() -> None:
    stored, other = _stored(), _stored()
    private = load_pem_private_key(stored["perennial/gateway"]["internal_private_key"].encode(), None)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert public.decode() == stored["perennial/shared"]["internal_key"]
    values = [value for held in (stored, other) for own in held.values() for value in own.values() if value]
    assert len(values) == len(set(values))
