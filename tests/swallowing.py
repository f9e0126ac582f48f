"""What is put on the log's own table, so that it loses events or does not."""

from __future__ import annotations

from auditrepr.models import AuditLog

LOG = AuditLog._meta.db_table
#: Statements that make the log lose events, and the cause that is named.
SWALLOWING = {
    "sqlite": [
        (
            [f"CREATE TRIGGER quiet {when} INSERT ON {LOG} BEGIN SELECT RAISE(IGNORE); END"],
            f'trigger "quiet" on {LOG}',
        )
        for when in ("BEFORE", "", "/* AFTER */ before -- after\n")
    ],
    "postgresql": [
        (
            [f"CREATE RULE quiet AS ON INSERT TO {LOG} DO INSTEAD NOTHING"],
            f"rule quiet on {LOG}",
        ),
        (
            [
                "CREATE FUNCTION nil() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN RETURN NULL; END'",
                f"CREATE TRIGGER quiet BEFORE INSERT ON {LOG} FOR EACH ROW EXECUTE FUNCTION nil()",
            ],
            f"trigger quiet on {LOG}",
        ),
    ],
}
#: What does not.
HARMLESS = {
    "sqlite": [
        [f"CREATE TRIGGER loud AFTER INSERT ON {LOG} BEGIN SELECT RAISE(IGNORE); END"],
        [f"CREATE TRIGGER loud BEFORE DELETE ON {LOG} BEGIN SELECT RAISE(IGNORE); END"],
        [f"CREATE TRIGGER \"BEFORE INSERT\" BEFORE UPDATE ON {LOG}"
         " BEGIN SELECT RAISE(IGNORE); END"],
        [f"CREATE TRIGGER loud BEFORE INSERT ON {LOG} BEGIN SELECT 'RAISE(IGNORE)'; END"],
    ],
    "postgresql": [
        [f"CREATE RULE loud AS ON INSERT TO {LOG} DO ALSO NOTHING"],
        [f"CREATE RULE loud AS ON DELETE TO {LOG} DO INSTEAD NOTHING"],
        *[
            [
                "CREATE FUNCTION nil() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN RETURN NULL; END'",
                f"CREATE TRIGGER loud {when} ON {LOG} FOR EACH {each} EXECUTE FUNCTION nil()",
                *more,
            ]
            for when, each, *more in (
                ("AFTER INSERT", "ROW"),
                ("BEFORE INSERT", "STATEMENT"),
                ("BEFORE DELETE OR UPDATE", "ROW"),
                ("BEFORE INSERT", "ROW", f"ALTER TABLE {LOG} DISABLE TRIGGER loud"),
            )
        ],
    ],
}  # fmt: skip
