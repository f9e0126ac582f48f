"""SQLite's part of seals: it writes the form of a row, and Python computes the digest."""

from __future__ import annotations

from hashlib import sha256

from ..base import SealFacet
from ..base.seal import COLUMNS

# A length in bytes, a colon, and the text; only the colon for null. SQLite keeps a blob also in a
# column for text, where it has the same bytes: an "x" in place of the colon tells it apart.
_FORM = """CASE typeof({0}) WHEN 'null' THEN ':' WHEN 'blob' THEN length({0}) || 'x' || {0}
    ELSE length(CAST({0} AS BLOB)) || ':' || {0} END"""

ROW_FORMS = f"""
SELECT id, CAST({" || ".join(map(_FORM.format, COLUMNS))} AS BLOB) FROM auditrepr_auditlog
WHERE id > %(after)s AND id <= %(upto)s ORDER BY id LIMIT %(most)s
"""


class Sealing(SealFacet):
    """Computes what seals are made of."""

    def row_digests(
        self, after: int, upto: int, most: int | None = None
    ) -> list[tuple[int, bytes]]:
        asked = {"after": after, "upto": upto, "most": -1 if most is None else most}
        with self.connection.cursor() as cursor:
            cursor.execute(ROW_FORMS, asked)
            return [(pk, sha256(form).digest()) for pk, form in cursor]
