"""Objects of models with a primary key of one column, of each kind."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal

from django.db.models import Model

from tests.app.fields import ByName, ByUUID
from tests.app.models import Author
from tests.app.odd_keys import ByAmount, ByBytes, ByFlag, ByFloat
from tests.app.relations import Badge, Toll

BY_COLUMN: list[Callable[[], Model]] = [
    lambda: Author.objects.create(name="Ann"),
    lambda: ByUUID.objects.create(id=uuid.UUID(int=7)),
    lambda: ByName.objects.create(name="O'Brien \\ \N{SNOWMAN}"),
    lambda: Badge.objects.create(number=5),
    lambda: ByAmount.objects.create(amount=Decimal("1.500")),
    lambda: ByAmount.objects.create(amount=Decimal("-2.000")),
    lambda: ByFlag.objects.create(flag=True),
    lambda: ByBytes.objects.create(mark=b"\x00\xff"),
    lambda: ByFloat.objects.create(level=2),
    lambda: ByFloat.objects.create(level=1e20),
    lambda: ByFloat.objects.create(level=1 / 3),
    lambda: Toll.objects.create(amount=Decimal(12)),
]
