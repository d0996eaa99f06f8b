"""What the service says about itself."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from perennial.common.contracts import catalogue
from perennial.common.db import migrations
from perennial.common.web.app import document
from perennial.loyalty.main import SERVICE


def test_every_contract_of_loyalty_is_emitted() -> None:
    ours = {contract for subject, contract in catalogue().items() if subject.startswith("loyalty.")}
    assert set(SERVICE.emits) == ours


def test_models_and_migrations_say_the_same(database_urls: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(migrations.check, SERVICE.migrations, database_urls.owner).result()


def test_the_document_has_every_route_with_its_problems() -> None:
    paths: Any = document(SERVICE)["paths"]
    assert set(paths) == {
        "/v1/loyalty/accounts",
        "/v1/loyalty/accounts/{customer_id}",
        "/v1/loyalty/accounts/{customer_id}/ledger",
        "/v1/loyalty/accounts/{customer_id}/spend",
        "/v1/loyalty/accounts/{customer_id}/adjust",
        "/v1/loyalty/accounts/{customer_id}/redemptions",
        "/v1/loyalty/accounts/{customer_id}/tier",
        "/v1/loyalty/accounts/{customer_id}/tier-history",
        "/v1/loyalty/accounts/{customer_id}/tier-overrides",
        "/v1/loyalty/accounts/{customer_id}/tier-overrides/{override_id}",
        "/v1/redemptions",
        "/v1/redemptions/{redemption_id}",
        "/v1/redemptions/{redemption_id}/confirm",
        "/v1/redemptions/{redemption_id}/fulfil",
        "/v1/redemptions/{redemption_id}/cancel",
        "/v1/rewards",
        "/v1/rewards/{reward_id}",
        "/v1/rewards/{reward_id}/codes",
        "/v1/me/redemptions",
        "/v1/me/redemptions/{redemption_id}/cancel",
        "/v1/me/rewards",
        "/v1/loyalty/accounts/{customer_id}/ledger/{posting_id}/explain",
        "/v1/loyalty/content",
        "/v1/loyalty/content/{content_id}",
        "/v1/loyalty/content/{content_id}/approve",
        "/v1/loyalty/content/{content_id}/reject",
        "/v1/loyalty/content/{content_id}/remove",
        "/v1/loyalty/explain",
        "/v1/loyalty/preview",
        "/v1/loyalty/releases",
        "/v1/me/check-in",
        "/v1/me/loyalty/content",
        "/v1/me/loyalty/ledger/{posting_id}/explain",
        "/v1/me/loyalty/preview",
        "/v1/loyalty/programme",
        "/v1/loyalty/accounts/{customer_id}/memberships",
        "/v1/loyalty/accounts/{customer_id}/referrals/tree",
        "/v1/loyalty/debts",
        "/v1/loyalty/debts/{debt_id}/decide",
        "/v1/loyalty/memberships",
        "/v1/loyalty/referrals",
        "/v1/loyalty/referrals/{referral_id}",
        "/v1/loyalty/referrals/{referral_id}/approve",
        "/v1/loyalty/referrals/{referral_id}/reject",
        "/v1/me/membership",
        "/v1/me/referral",
        "/v1/loyalty/programme/simulate",
        "/v1/loyalty/reports",
        "/v1/loyalty/reports/refresh",
        "/v1/loyalty/reports/{name}",
        "/v1/operations/loyalty",
        "/v1/operations/loyalty/{operation_id}",
        "/v1/operations/loyalty/{operation_id}/cancel",
        "/v1/operations/loyalty/{operation_id}/files/{name}",
        "/v1/loyalty/summary",
        "/v1/me/loyalty",
        "/v1/me/loyalty/ledger",
        "/v1/me/loyalty/tier",
        "/v1/me/loyalty/spend",
        "/v1/audit/loyalty",
        "/v1/audit/loyalty/head",
    }
    spend = paths["/v1/loyalty/accounts/{customer_id}/spend"]["post"]["responses"]
    assert {"201", "400", "401", "403", "404", "409", "422"} <= set(spend)
