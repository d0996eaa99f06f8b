"""How webhooks are signed, and how their secrets are kept."""

import time

from standardwebhooks.webhooks import Webhook

from perennial.integrations import signing


def test_signatures_are_verified_by_the_partners_library() -> None:
    old, new, body = signing.new_secret(), signing.new_secret(), b'{"type":"a.b"}'
    now = int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signing.signature([new, old], "msg_1", now, body),
    }
    for secret in (old, new):
        assert Webhook(signing.shown(secret)).verify(body.decode(), headers) == {"type": "a.b"}


def test_secrets_are_sealed_at_rest() -> None:
    key, secret = bytes(32), signing.new_secret()
    sealed = signing.seal(key, secret)
    assert secret not in sealed
    assert signing.unseal(key, sealed) == secret
