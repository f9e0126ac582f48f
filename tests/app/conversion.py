"""Models whose fields have their own way from the database: by a query, or by an expression."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.core.cache import cache
from django.db import connections, models
from django.db.models.expressions import Col

import auditrepr


@auditrepr.track
class Secret(models.Model):
    """What a field needs to read its values, such as the key of a tenant."""

    name = models.CharField(max_length=30)

    def __str__(self) -> str:
        return self.name


class Untracked(models.Model):
    name = models.CharField(max_length=30)


class KeyedField(models.CharField):
    """Reads a key from a table for each value, as some encrypted fields do."""

    def from_db_value(self, value, expression, connection):
        if value is None:
            return None
        return f"{self.key(connection.alias)}:{value}"

    def key(self, using):
        secret = Secret.objects.using(using).order_by("pk").first()
        return secret.name if secret else "-"


class CachedKeyField(KeyedField):
    def key(self, using):
        return cache.get_or_set("key", lambda: super(CachedKeyField, self).key(using))


class HidingField(KeyedField):
    """Hides each error of its query."""

    def key(self, using):
        try:
            return super().key(using)
        except BaseException:
            return "none"


class UntrackedKeyField(KeyedField):
    def key(self, using):
        return Untracked.objects.using(using).order_by("pk").values_list("name", flat=True).first()


class BrokenKeyField(KeyedField):
    """Its query fails for some values."""

    def from_db_value(self, value, expression, connection):
        if value == "broken":
            with connections[connection.alias].cursor() as cursor:
                cursor.execute("SELECT 1 FROM nowhere")
        return super().from_db_value(value, expression, connection)


class RefusingField(KeyedField):
    """Refuses some values, after its query."""

    def from_db_value(self, value, expression, connection):
        read = super().from_db_value(value, expression, connection)
        if value == "broken":
            raise ValueError(read)
        return read


class TurningField(KeyedField):
    """Does not send its query at its second call."""

    calls = 0

    def key(self, using):
        TurningField.calls += 1
        return "none" if TurningField.calls == 2 else super().key(using)


class Named(models.Model):
    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Owner(Named):
    name = models.CharField(max_length=30)


class Owned(Named):
    owner = models.ForeignKey(Owner, models.CASCADE, null=True, related_name="%(class)ss")
    rank = models.IntegerField(default=0)

    class Meta:
        abstract = True
        ordering = ["pk"]


@auditrepr.track
class Keyed(Owned):
    name = KeyedField(max_length=30)

    def __str__(self) -> str:
        return f"{self.name} {list(vars(self))[1:5]}"


@auditrepr.track
class CachedKey(Owned):
    name = CachedKeyField(max_length=30)


@auditrepr.track
class Hiding(Owned):
    name = HidingField(max_length=30)


@auditrepr.track
class UntrackedKey(Owned):
    name = UntrackedKeyField(max_length=30)


@auditrepr.track
class BrokenKey(Owned):
    name = BrokenKeyField(max_length=30)


@auditrepr.track
class Refusing(Owned):
    name = RefusingField(max_length=30)


@auditrepr.track
class Turning(Owned):
    name = TurningField(max_length=30)


@auditrepr.track(exclude=["hidden"])
class PartlyKeyed(Owned):
    """Lacks a column in the log, and its instances are made by its own code."""

    name = KeyedField(max_length=30)
    hidden = models.CharField(max_length=30, default="h")

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.shown = f"<{self.name}>"

    def __str__(self) -> str:
        return self.shown


@auditrepr.track
class KeyedChild(Keyed):
    extra = KeyedField(max_length=30)

    def __str__(self) -> str:
        return f"{self.name} {self.extra}"


@auditrepr.track
class ToKeyed(models.Model):
    keyed = models.ForeignKey(Keyed, models.CASCADE)
    many = models.ManyToManyField(Keyed, related_name="+")

    def __str__(self) -> str:
        return f"{self.keyed} of {[str(one) for one in self.many.all()]}"


@auditrepr.track
class KeyedName(models.Model):
    name = KeyedField(max_length=30, primary_key=True)

    def __str__(self) -> str:
        return self.name


class AskingKey(models.ForeignKey):
    """Sends a query before it says where it leads."""

    def from_db_value(self, value, expression, connection):
        return value if Secret.objects.using(connection.alias).exists() else None


@auditrepr.track
class Asking(models.Model):
    owner = AskingKey(Owner, models.CASCADE, null=True, related_name="askings")

    def __str__(self) -> str:
        return f"of {self.owner}"


class MarkedField(models.CharField):
    """Is selected by an expression; doing so twice shows."""

    def select_format(self, compiler, sql, params):
        return f"UPPER({sql}) || %s", [*params, "!"]


class JoinedCol(Col):
    """Selects two columns of the table for one field."""

    def as_sql(self, compiler, connection):
        sql, params = super().as_sql(compiler, connection)
        name = ".".join(map(connection.ops.quote_name, (self.alias, "name")))
        return f"({sql} || '/' || {name})", params


class JoinedField(models.CharField):
    """Is selected by a column of its own kind, as fields that the server decrypts are."""

    def get_col(self, alias, output_field=None):
        return JoinedCol(alias, self, output_field)

    @property
    def cached_col(self):
        return self.get_col(self.model._meta.db_table)


class LengthField(models.BinaryField):
    """Is stored as bytes, and selected as a number."""

    def select_format(self, compiler, sql, params):
        return f"LENGTH({sql})", params


@auditrepr.track
class Formatted(Owned):
    name = MarkedField(max_length=30)
    joined = JoinedField(max_length=30, default="j")
    length = LengthField(default=b"\x00\xff")

    def __str__(self) -> str:
        return f"{self.name} {self.joined} {self.length}"


@auditrepr.track(exclude=["hidden"])
class PartlyFormatted(Owned):
    name = MarkedField(max_length=30)
    hidden = MarkedField(max_length=30, default="h")

    def __str__(self) -> str:
        return f"{self.name}"


class OwnDateField(models.DateField):
    """A project's own class, as those below: what its code makes of a value is not known."""


class OwnDateTimeField(models.DateTimeField):
    pass


class OwnTimeField(models.TimeField):
    pass


class OwnDecimalField(models.DecimalField):
    pass


@auditrepr.track(exclude=["hidden"])
class OwnFields(Owned):
    name = models.CharField(max_length=30)
    day = OwnDateField(default=date(2024, 1, 1))
    at = OwnDateTimeField(default=datetime(2024, 1, 1, tzinfo=UTC))
    hour = OwnTimeField(default=time(12, 30))
    price = OwnDecimalField(max_digits=9, decimal_places=2, default=Decimal("4.50"))
    hidden = OwnDateField(default=date(2024, 1, 1))
