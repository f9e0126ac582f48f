"""The bodies of one table's trigger functions on PostgreSQL, and their settings."""

from __future__ import annotations

import json

from ..capture_types import Capture, Column, Kind
from . import event_templates as templates
from .column_types import CHARACTERS, COMPARABLE, PINNED, base_type, json_needs
from .quoting import LOG, hashed, literal, quoted
from .trigger_templates import NOT_EMPTIED, STILL_GUARDS, emptied

# The maximum number of arguments of a function.
_MOST_ARGUMENTS = 100
# JSON ends at 256 MB. At most it takes 32 times the value (an array of nulls, four bytes a bit).
_SURELY_FITS = 1_000_000


def table_token(capture: Capture) -> str:
    """Return the text that stands for the table among the running statements."""
    return hashed(capture.name)


def direct(capture: Capture, *operations: str, depth: str = "pg_trigger_depth()") -> str:
    """Return a condition: none of these running statements is on the partitioned table itself."""
    return " AND ".join(
        f"position(concat('{table_token(capture)}:{operation}:', {depth}, ' ') "
        f"IN coalesce(current_setting('auditrepr.open', true), '')) = 0"
        for operation in operations
    )


class Body:
    """The trigger functions of one table, by operation."""

    def __init__(self, capture: Capture, schema: str) -> None:
        self.capture = capture
        self.log_schema, self.schema = schema, quoted(schema)
        self.pins, self.surely_fits, exact = json_needs(capture)
        self.text = "::text" if exact else ""

    def of_statement(self) -> dict[str, str]:
        new, old = self._image("auditrepr_new"), self._image("auditrepr_old")
        empties = NOT_EMPTIED.format(emptied=emptied(self.log_schema))
        return {
            "INSERT": self._inserted(f"{new} AS image FROM auditrepr_new"),
            "UPDATE": self._updated(),
            "DELETE": self._deleted(f"{old} AS image FROM auditrepr_old"),
            "TRUNCATE": self._truncated(empties),
        }

    def of_row(self) -> str:
        """Return the function for statements that name a partition.

        It is one for all operations: by it, the guard of a partition is known for this table's.
        """
        new, old = self._image("NEW"), self._image("OLD")
        there = direct(self.capture, "TRUNCATE", depth="pg_trigger_depth() - 1")
        work = templates.BY_OPERATION.format(
            insert=self._whole("'I'", f"{new} AS image"),
            update=self._pairs(f"SELECT {old} AS past, {new} AS image WHERE OLD *<> NEW"),
            delete=self._whole("'D'", f"{old} AS image"),
            truncating=f"{there} AND {STILL_GUARDS}",
            truncate=templates.EMPTIED.format(
                delete=self._whole("'D'", f"{self._image('gone')} AS image")
            ),
        )
        return self._function(self._shared(work, templates.SEEN_BY_OPERATION))

    def _function(self, block: str) -> str:
        pins = "".join(f" SET {name} = '{PINNED[name]}'" for name in sorted(self.pins))
        # Compiling takes longer than running: the planner's estimates are too high. Nor does
        # planning a statement again find a better plan.
        settings = (
            "SET search_path = pg_catalog, pg_temp SET jit = off"
            f" SET plan_cache_mode = force_generic_plan{pins}"
        )
        body = templates.FUNCTION.format(
            function="{0}", settings=settings, quote="{1}", block=_safe(block)
        )
        digest = hashed(body)
        # The body cannot contain its own quote, because the quote has the body's hash.
        return body.format(f"{self.schema}.auditrepr_on_{digest}", f"$auditrepr_{digest}$")

    def _shared(self, work: str, seen: str = templates.SEEN) -> str:
        return templates.SHARED.format(seen=seen, work=work)

    def _inserted(self, image: str) -> str:
        return self._function(self._shared(self._whole("'I'", image)))

    def _deleted(self, image: str) -> str:
        work = self._whole("'D'", image)
        return self._function(self._shared(work, templates.SEEN_BY_DELETE))

    def _truncated(self, truncating: str) -> str:
        event = self._event("'T'", key="NULL", row="NULL")
        work = templates.TRUNCATED.format(truncating=truncating, event=event)
        return self._function(self._shared(work))

    def _updated(self) -> str:
        new, old = self._image("auditrepr_new"), self._image("auditrepr_old")
        block = templates.UPDATE.format(
            old=old,
            new=new,
            difference=self._difference(),
            # The row that was dropped on its way to another partition leaves no pair.
            several="several IS NOT FALSE" if self._is_partitioned else "several",
            many=self._many(),
            insert=self._insert(),
            name=literal(self.capture.name),
            key=self._key("new_image"),
            previous=self._previous("new_image", "difference"),
        )
        return self._function(block)

    def _many(self) -> str:
        """Return the block for an update of several rows."""
        new, old = self._image("auditrepr_new"), self._image("auditrepr_old")
        few = self._pairs(templates.FEW_PAIRS.format(old=old, new=new))
        work = templates.CHOICE.format(condition=templates.MANY, this=self._bulk(), that=few)
        if self._is_partitioned:
            work = templates.CHOICE.format(
                condition=templates.DROPPED, this=self._by_identity(), that=work
            )
        return f"{self._shared(work)};"

    def _bulk(self) -> str:
        old, new = "before.auditrepr_old", "after.auditrepr_new"
        images = templates.PAIRS.format(old=self._image(old), new=self._image(new), image="image")
        if not self.surely_fits or len(self.capture.shape.columns) > _MOST_ARGUMENTS:
            return self._pairs(images)
        pairs = templates.PAIRS.format(old=old, new=new, image="fresh")
        columns = ", ".join(f"{c.name} {c.type}" for c in self.capture.shape.columns)
        return templates.CHOICE.format(
            condition=templates.UNALTERED.format(columns=literal(columns)),
            this=self._event_of_update() + self._by_column(pairs),
            that=self._pairs(images),
        )

    def _by_identity(self) -> str:
        event = self._event(
            "CASE WHEN image IS NULL THEN 'D' WHEN past IS NULL THEN 'I' ELSE 'U' END",
            key=self._key("coalesce(image, past)"),
            row="coalesce(image, past)",
            changed="CASE WHEN image IS NOT NULL THEN changed END",
        )
        return event + templates.BY_IDENTITY.format(
            difference=self._difference(),
            old=self._image("auditrepr_old"),
            new=self._image("auditrepr_new"),
            old_key=templates.ONE_OF_ITS_KEY.format(key=self._key("past")),
            new_key=templates.ONE_OF_ITS_KEY.format(key=self._key("image")),
        )

    def _insert(self) -> str:
        return templates.INSERT.format(log=f"{self.schema}.{LOG}")

    def _event(self, action: str, *, key: str, row: str, **values: str) -> str:
        values = {"previous": "NULL", "changed": "NULL", **values}
        name = literal(self.capture.name)
        return templates.EVENT.format(
            insert=self._insert(), name=name, action=action, key=key, row=row, **values
        )

    def _whole(self, action: str, image: str) -> str:
        event = self._event(action, key=self._key("image"), row="image")
        return f"{event}\n        FROM (SELECT {image} OFFSET 0) AS event"

    def _event_of_update(self) -> str:
        previous = self._previous("image", "changed")
        key = self._key("image")
        return self._event("'U'", key=key, row="image", previous=previous, changed="changed")

    def _pairs(self, pairs: str) -> str:
        difference = self._difference()
        return self._event_of_update() + templates.UPDATED.format(
            difference=difference, pairs=pairs
        )

    def _difference(self) -> str:
        return templates.DIFFERENCE.format(text=self.text)

    def _previous(self, image: str, changed: str) -> str:
        single = len(self.capture.key_columns) == 1
        old = self._key(changed if single else f"({image} || {changed})")
        return f"NULLIF({old}, {self._key(image)})"

    @property
    def _is_partitioned(self) -> bool:
        return self.capture.shape.kind is Kind.PARTITIONED

    def _by_column(self, pairs: str) -> str:
        left_out = self.capture.excluded | _virtual(self.capture)
        columns = [c for c in self.capture.shape.columns if c.name not in left_out]
        return templates.BY_COLUMN.format(
            new=self._image("fresh"),
            old=self._image("past"),
            fits=_SURELY_FITS,
            columns=",".join(map(self._column, columns)),
            text=self.text,
            pairs=pairs,
        )

    def _column(self, column: Column) -> str:
        """Return SQL for the column's name and its previous JSON text; null if it is unchanged."""
        past, fresh = (f"({record}).{quoted(column.name)}" for record in ("past", "fresh"))
        label = literal(f",{json.dumps(column.name, ensure_ascii=False)}:")
        collation = ' COLLATE "C"' if base_type(column.type) in CHARACTERS else ""
        differs = f"{past} IS DISTINCT FROM {fresh}{collation}"
        if column.type.endswith("[]") or base_type(column.type) not in COMPARABLE:
            values = [f"to_jsonb({value}){self.text}" for value in (past, fresh)]
            differs = " IS DISTINCT FROM ".join(values)
        return templates.COLUMN.format(differs=differs, label=label, past=past)

    def _image(self, record: str) -> str:
        """Return SQL for a record as JSON, without the excluded columns."""
        image = f"{self.schema}.auditrepr_row({record}, TG_RELID)"
        if self.surely_fits:
            image = (
                f"CASE WHEN pg_column_size({record}) < {_SURELY_FITS} "
                f"THEN to_jsonb({record}) ELSE {image} END"
            )
        left_out = sorted(self.capture.excluded | _virtual(self.capture))
        if left_out:
            return f"({image}) - ARRAY[{', '.join(map(literal, left_out))}]::text[]"
        return image

    def _key(self, image: str) -> str:
        match self.capture.key_columns:
            case ():
                return "NULL"
            case (column,):
                return f"{image} ->> {literal(column)}"
            case columns:
                values = ", ".join(f"{image} -> {literal(column)}" for column in columns)
                return f"jsonb_build_array({values})::text"


def _safe(sql: str) -> str:
    return sql.replace("{", "{{").replace("}", "}}")


def _virtual(capture: Capture) -> set[str]:
    return {column.name for column in capture.shape.columns if not column.stored}
