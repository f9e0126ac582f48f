"""PostgreSQL's part of seals: the server computes the digests."""

from __future__ import annotations

from typing import Any

from ..base import SealFacet
from ..base.seal import COLUMNS

#: What would depend on the session's settings if it were cast to text: times are seconds since 1970
#: in UTC, with six decimals.
_TEXTS = dict.fromkeys(("statement_at", "occurred_at"), "extract(epoch FROM {})::text")
_VALUES = ", ".join(_TEXTS.get(name, "{}::text").format(name) + f" AS {name}" for name in COLUMNS)
#: A length in bytes, a colon, and the text; only the colon for null.
_FORM = " || ".join(
    f"coalesce(octet_length({name})::text || ':' || {name}, ':')" for name in COLUMNS
)

#: OFFSET keeps the planner from making each text twice: for its length, and for itself.
ROW_DIGESTS = f"""
SELECT event, sha256(convert_to({_FORM}, 'UTF8')) FROM (
    SELECT auditrepr_auditlog.id AS event, {_VALUES} FROM auditrepr_auditlog
    WHERE auditrepr_auditlog.id > %(after)s AND auditrepr_auditlog.id <= %(upto)s
    ORDER BY auditrepr_auditlog.id LIMIT %(most)s OFFSET 0
) AS texts ORDER BY event
"""


class Sealing(SealFacet):
    """Computes what seals are made of."""

    def row_digests(
        self, after: int, upto: int, most: int | None = None
    ) -> list[tuple[int, bytes]]:
        found: list[Any] = self.rows(ROW_DIGESTS, {"after": after, "upto": upto, "most": most})
        return found
