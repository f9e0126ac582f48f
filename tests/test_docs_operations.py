"""What docs/operations.md says about erasing by hand works as it says."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from auditrepr.models import AuditLog, InstanceRepr
from tests.app.models import Author

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_the_owner_erases_by_hand_is_said_anew():
    AuditLog.objects.all().delete()
    author = Author.objects.create(name="Ann")
    call_command("audit_triggers", "install", "--database=default", "--append-only", verbosity=0)
    call_command("backfill_reprs", verbosity=0)
    call_command("audit_triggers", "remove", "--database=default", verbosity=0)
    event = AuditLog.objects.for_object(author).get()
    AuditLog.objects.filter(pk=event.pk).update(row_data=event.row_data | {"name": "erased"})
    InstanceRepr.objects.filter(audit_log=event).delete()
    call_command("audit_triggers", "install", "--database=default", verbosity=0)
    call_command("backfill_reprs", "--rescan", verbosity=0)
    assert InstanceRepr.objects.get(audit_log=event).instance_repr == "erased"
