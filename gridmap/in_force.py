"""What holds this moment, as SQL: the edition in force is not the newest one where that is yet to come.

So a row of `area` without an end need not live today, and one with an end may.
"""

# The number of the edition; one moment for all of a statement, and a later one than its transaction's beginning.
IN_FORCE = "(SELECT id FROM edition WHERE in_force_from <= statement_timestamp() ORDER BY in_force_from DESC LIMIT 1)"
# Areas that live in it, as a table.
LIVING = f"(SELECT * FROM area WHERE edition_from <= {IN_FORCE} AND (edition_to IS NULL OR edition_to > {IN_FORCE}))"
# `held`, to stand after WITH: `code`, any of those asked for, beside `now` and `path` of every area that has its land:
# itself where it lives, else what the edition that retired it last gave it to. {codes} is a table of one column.
HELD = f"""
held AS (
    WITH RECURSIVE force AS MATERIALIZED (SELECT {IN_FORCE} AS id), followed AS (
        SELECT code, code AS now FROM {{codes}} AS asked (code)
        UNION
        SELECT f.code, l.new_code FROM force, followed f JOIN lineage l ON l.old_code = f.now
        WHERE l.new_code <> l.old_code
            AND NOT EXISTS (SELECT FROM area a WHERE a.code = f.now AND a.edition_from <= force.id
                AND (a.edition_to IS NULL OR a.edition_to > force.id))
            AND l.edition = (SELECT max(a.edition_to) FROM area a WHERE a.code = f.now AND a.edition_to <= force.id)
    )
    SELECT DISTINCT f.code, a.code AS now, a.path FROM followed f JOIN area a ON a.code = f.now, force
    WHERE a.edition_from <= force.id AND (a.edition_to IS NULL OR a.edition_to > force.id)
)
"""
