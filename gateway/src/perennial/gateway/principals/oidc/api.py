"""`/v1/staff/oidc`: where a console begins."""

from fastapi import APIRouter

from perennial.common.web import NotFound, documented
from perennial.gateway.principals.deps import EdgeOf
from perennial.gateway.principals.oidc.schemas import OidcOut

router = APIRouter(tags=["gateway"])


@router.get("/v1/staff/oidc", responses=documented(404, 503), openapi_extra={"security": []})
async def get_staff_oidc(edge: EdgeOf) -> OidcOut:
    """Where a console signs in staff by OpenID Connect."""
    if edge.provider is None:
        raise NotFound("no OpenID provider is configured", code="oidc_not_configured")
    found = await edge.provider.discovery()
    ends = found.get("end_session_endpoint")
    return OidcOut(
        issuer=edge.provider.issuer,
        client_id=edge.provider.client_id,
        authorization_endpoint=str(found.get("authorization_endpoint", "")),
        token_endpoint=str(found.get("token_endpoint", "")),
        end_session_endpoint=ends if isinstance(ends, str) else None,
        scopes=["openid", "email", "profile"],
        code_challenge_method="S256",
    )
