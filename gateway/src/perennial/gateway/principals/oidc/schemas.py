"""The HTTP body that tells a console where to sign in."""

from pydantic import BaseModel


class OidcOut(BaseModel):
    """Begin the authorization code flow with PKCE here; then send the token as `Authorization: Bearer`."""

    issuer: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str | None
    scopes: list[str]
    code_challenge_method: str
