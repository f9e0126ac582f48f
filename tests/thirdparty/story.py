"""A year in the life of a small arts council, which tests/truth/test_third_party.py runs."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from taggit.models import Tag, TaggedItem

from auditrepr.asof.states.states import BESIDE
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.oracle import Oracle
from tests.thirdparty.models import ArtProject, Category, Project, Step, StreetArt

MODELS = [Category, Project, ArtProject, StreetArt, Step, Tag, TaggedItem, User, Group]
STEPS = 60


def change(chance: random.Random, number: int) -> None:  # noqa: C901 - a list of cases
    """One change of a kind that applications make."""
    category = chance.choice([*Category.objects.all(), None])
    project = chance.choice([*Project.objects.all(), None])
    match chance.randrange(13):
        case 0:
            Category.add_root(name=f"root {number}")
        case 1 if category:
            category.add_child(name=f"child {number}")
        case 2 if category:
            target = chance.choice(Category.objects.all())
            if not target.is_descendant_of(category) and target != category:
                category.move(target, "sorted-child")
        case 3 if category and number % 4 == 0:
            category.delete()
        case 4:
            Project.objects.create(topic=f"p{number}", category=category)
        case 5:
            ArtProject.objects.create(topic=f"a{number}", artist="Ann", category=category)
        case 6:
            StreetArt.objects.create(topic=f"s{number}", artist="B", wall="N", category=category)
        case 7 if project:
            project.topic = f"t{number}"
            project.save()
        case 8 if project:
            project.tags.add(f"tag{number % 5}", f"tag{number % 3}")
        case 9 if project:
            Step.objects.create(project=project, title=f"step {number}")
        case 10:
            Category.objects.filter(depth=1).update(name=f"renamed {number}")
        case 11:
            ArtProject.objects.update(artist=f"artist {number}")
            Tag.objects.filter(name="tag1").delete()
        case 12 if project and number % 3 == 0:
            project.delete()


@pytest.mark.django_db(transaction=True)
def test_story():
    AuditLog.objects.all().delete()
    chance = random.Random(5)
    oracle = Oracle(MODELS)
    with oracle.listening():
        group = Group.objects.create(name="curators")
        User.objects.create_user("ann").groups.add(group)
        for number in range(STEPS):
            with transaction.atomic():
                change(chance, number)
    assert ContentType.objects.exists()
    assert Permission.objects.exists()
    rows = AuditLog.objects.filter(pk__in=oracle.expected)
    outcomes = build([Event.of(row) for row in rows], "default")
    assert not [outcome.failure for outcome in outcomes if outcome.failure]
    count = Counter(Fidelity(outcome.fidelity).label for outcome in outcomes)
    reasons = Counter(o.reason for o in outcomes if o.fidelity == Fidelity.MIXED)
    untrue = [
        (oracle.expected[o.id], o.text)
        for o in outcomes
        if o.fidelity == Fidelity.EXACT and oracle.expected[o.id] != o.text
    ]
    said = f"{connection.display_name}: {len(outcomes)} events, {dict(count)}, {dict(reasons)}"
    sys.stdout.write(f"\n{said}\n")
    assert not untrue
    allowed = {BESIDE} if connection.vendor == "sqlite" else set()
    assert {line for reason in reasons for line in reason.splitlines()} <= allowed
