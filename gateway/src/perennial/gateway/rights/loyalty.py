"""Routes of loyalty."""

TABLE = {
    "loyalty:read": """
        GET  /v1/loyalty/accounts /v1/loyalty/accounts/{customer_id} /v1/loyalty/accounts/{customer_id}/ledger
        GET  /v1/loyalty/accounts/{customer_id}/redemptions /v1/redemptions /v1/redemptions/{redemption_id}
        GET  /v1/loyalty/accounts/{customer_id}/tier /v1/loyalty/accounts/{customer_id}/tier-history
        GET  /v1/loyalty/accounts/{customer_id}/tier-overrides
        GET  /v1/loyalty/referrals /v1/loyalty/referrals/{referral_id}
        GET  /v1/loyalty/accounts/{customer_id}/referrals/tree
        GET  /v1/loyalty/debts /v1/loyalty/memberships /v1/loyalty/accounts/{customer_id}/memberships
        GET  /v1/rewards /v1/rewards/{reward_id}
        GET  /v1/loyalty/content /v1/loyalty/content/{content_id}
        GET  /v1/loyalty/explain /v1/loyalty/accounts/{customer_id}/ledger/{posting_id}/explain
        POST /v1/loyalty/preview
        GET  /v1/loyalty/programme /v1/loyalty/summary /v1/loyalty/reports /v1/loyalty/reports/{name}
    """,
    "loyalty:write": """
        POST /v1/loyalty/accounts/{customer_id}/spend /v1/loyalty/accounts/{customer_id}/redemptions
        POST /v1/loyalty/releases
        POST /v1/redemptions/{redemption_id}/cancel /v1/redemptions/{redemption_id}/confirm
        POST /v1/redemptions/{redemption_id}/fulfil
    """,
    "loyalty:adjust": """
        POST /v1/loyalty/accounts/{customer_id}/adjust /v1/loyalty/debts/{debt_id}/decide
        POST /v1/loyalty/accounts/{customer_id}/tier-overrides
        DELETE /v1/loyalty/accounts/{customer_id}/tier-overrides/{override_id}
    """,
    "loyalty:manage": """
        POST /v1/loyalty/content/{content_id}/approve /v1/loyalty/content/{content_id}/reject
        POST /v1/loyalty/content/{content_id}/remove
        POST /v1/loyalty/referrals/{referral_id}/approve /v1/loyalty/referrals/{referral_id}/reject
        GET  /v1/rewards/{reward_id}/codes
        POST /v1/rewards /v1/rewards/{reward_id}/codes /v1/loyalty/programme/simulate
        POST /v1/loyalty/reports/refresh
        PUT  /v1/loyalty/programme /v1/rewards/{reward_id}
    """,
}
