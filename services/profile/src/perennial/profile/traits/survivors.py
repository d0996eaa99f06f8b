"""Which value a customer shows for each trait, of all that its identifiers said: one SQL for every reader.

A candidate is what one source last said under one identifier (`first`: what it said first, while it has not cleared the
trait). Trusted sources come before time.

- `latest`: the newest candidate; one that cleared the trait clears it.
- `manual-wins`: what staff wrote, else as `latest`.
- `first`: the oldest. `longest`: the longest text.
- `min`, `max`, `sum`: of numbers, dates (`min`, `max`) or money; money of the best candidate's currency only.
- `union`: the members of all lists, each once, sorted by their JSON.

In the last three lines a source that cleared the trait says nothing, and the others stand. A sum adds what each source
says now: who says the same figure twice, or corrects it, is counted once.
"""

MANUAL = "manual"
_NUMBER = r"^-?[0-9]{1,30}(\.[0-9]{1,20})?$"

# As a rule the newest candidate of each trait is shown, whoever said it: only what is defined otherwise is weighed.
_SPECIAL = """
    SELECT key, strategy, type, sources FROM trait_definition
    WHERE NOT archived AND (strategy <> 'latest' OR sources <> '{}')"""
_NEWEST = """
    SELECT DISTINCT ON (m.customer_id, t.key) m.customer_id, t.key, t.value, t.at, t.source
    FROM identity_map AS m JOIN trait AS t USING (via)
    WHERE t.fits AND t.key NOT IN (SELECT key FROM special) AND ({0})
    ORDER BY m.customer_id, t.key, t.at DESC, t.source DESC, t.message_id DESC, t.via"""
_STATEMENTS = f"""
    SELECT m.customer_id, t.via, t.key, t.source, d.strategy, d.type,
        CASE WHEN d.strategy = 'manual-wins' AND t.source = '{MANUAL}' THEN 0
             ELSE coalesce(array_position(d.sources, t.source), 1000000) END AS rank,
        CASE WHEN d.strategy = 'first' AND t.value IS NOT NULL THEN coalesce(t.first_value, t.value)
             ELSE t.value END AS value,
        CASE WHEN d.strategy = 'first' AND t.value IS NOT NULL THEN t.first_at ELSE t.at END AS at,
        CASE WHEN d.strategy = 'first' AND t.value IS NOT NULL THEN t.first_message_id
             ELSE t.message_id END AS message_id
    FROM identity_map AS m JOIN trait AS t USING (via) JOIN special AS d ON d.key = t.key
    WHERE t.fits AND (SELECT EXISTS (SELECT FROM special)) AND ({{0}})"""  # noqa: S608 (ours)
_PICKED = """
    SELECT DISTINCT ON (customer_id, key) customer_id, key, value, at, source
    FROM said
    WHERE strategy IN ('latest', 'manual-wins') OR (strategy IN ('first', 'longest') AND value IS NOT NULL)
    ORDER BY customer_id, key, CASE WHEN strategy = 'longest' THEN -char_length(value #>> '{}') END, rank,
        CASE WHEN strategy = 'first' THEN at END, CASE WHEN strategy = 'first' THEN source END,
        CASE WHEN strategy = 'first' THEN message_id END, at DESC, source DESC, message_id DESC, via"""
_BEST_FIRST = "ORDER BY rank, at DESC, source DESC, message_id DESC, via"
_GATHERED = f"""
    SELECT customer_id, key, strategy, type, max(at) AS at, array_agg(value {_BEST_FIRST}) AS all_values,
        (array_agg(source {_BEST_FIRST}))[1] AS source
    FROM said WHERE strategy IN ('min', 'max', 'sum', 'union') AND value IS NOT NULL
    GROUP BY customer_id, key, strategy, type"""  # noqa: S608
_FOLD = "trim_scale(CASE strategy WHEN 'sum' THEN sum({0}) WHEN 'min' THEN min({0}) ELSE max({0}) END)"
_IN_TIME = """
    (SELECT v FROM unnest(all_values) AS v WHERE jsonb_typeof(v) = 'string'
     ORDER BY rtrim(v #>> '{{}}', 'Z') COLLATE "C" {0} LIMIT 1)"""
_MERGED = f"""
    SELECT customer_id, key, CASE
        WHEN strategy = 'union' THEN (
            SELECT coalesce(jsonb_agg(member ORDER BY member::text COLLATE "C"), '[]') FROM (
                SELECT DISTINCT member FROM unnest(all_values) AS v, jsonb_array_elements(
                    CASE jsonb_typeof(v) WHEN 'array' THEN v ELSE jsonb_build_array(v) END) AS member) AS members)
        WHEN type = 'money' THEN (
            SELECT jsonb_build_object('amount', CAST({_FOLD.format("n")} AS text),
                                      'currency', all_values[1] ->> 'currency')
            FROM (SELECT CAST(v ->> 'amount' AS numeric) AS n FROM unnest(all_values) AS v
                  WHERE v ->> 'currency' = all_values[1] ->> 'currency' AND v ->> 'amount' ~ '{_NUMBER}') AS amounts
            HAVING count(*) > 0)
        WHEN type = 'number' THEN (
            SELECT to_jsonb({_FOLD.format("n")})
            FROM (SELECT CAST(v #>> '{{}}' AS numeric) AS n FROM unnest(all_values) AS v
                  WHERE jsonb_typeof(v) = 'number') AS numbers)
        WHEN strategy = 'min' THEN {_IN_TIME.format("ASC")}
        ELSE {_IN_TIME.format("DESC")} END AS value, at, source
    FROM ({_GATHERED}) AS gathered"""  # noqa: S608


def survivors(scope: str) -> str:
    """A query of (customer_id, key, value, at, source): what is shown for the identifiers `m` that `scope` names.

    Values are as they are stored: sealed, where they are sensitive. Cleared traits are left out.
    """
    return f"""
    WITH special AS MATERIALIZED ({_SPECIAL}), said AS MATERIALIZED ({_STATEMENTS.format(scope)})
    SELECT * FROM ({_NEWEST.format(scope)}) AS newest WHERE value IS NOT NULL
    UNION ALL SELECT * FROM ({_PICKED}) AS picked WHERE value IS NOT NULL
    UNION ALL SELECT * FROM ({_MERGED}) AS merged WHERE value IS NOT NULL"""  # noqa: S608
