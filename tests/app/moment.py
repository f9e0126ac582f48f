"""Models whose rows refer to each other, so that one statement can change several of them."""

from __future__ import annotations

from django.db import models

import auditrepr


@auditrepr.track
class Node(models.Model):
    """A tree: the text of each node names its parent and its children."""

    name = models.CharField(max_length=20)
    rank = models.IntegerField(default=0)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        parent = f"{self.parent.name}{self.parent.rank}" if self.parent_id else "-"
        children = ",".join(f"{child.name}{child.rank}" for child in self.children.all())
        # The set has no order of its own: the database gives it as its pages have it.
        leaves = ",".join(sorted(leaf.name for leaf in self.leaves.all()))
        return f"{self.name}{self.rank}<{parent}>({children})[{leaves}]"


@auditrepr.track
class Leaf(models.Model):
    name = models.CharField(max_length=20)
    node = models.ForeignKey(Node, models.CASCADE, null=True, related_name="leaves")

    def __str__(self) -> str:
        where = f"{self.node.name}{self.node.rank}" if self.node_id else "nowhere"
        return f"{self.name} on {where}"


@auditrepr.track
class Slot(models.Model):
    """A natural key that others refer to, and that an update may change."""

    name = models.CharField(max_length=20, primary_key=True)
    note = models.CharField(max_length=20, default="")
    next = models.ForeignKey("self", models.CASCADE, null=True, db_constraint=False)

    def __str__(self) -> str:
        try:
            return f"{self.name}={self.note} then {self.next.note if self.next_id else '-'}"
        except Slot.DoesNotExist:
            return f"{self.name}={self.note} then nothing"


@auditrepr.track
class Step(models.Model):
    """A key of several columns, one of which refers to another object."""

    pk = models.CompositePrimaryKey("slot", "number")
    slot = models.ForeignKey(Slot, models.DO_NOTHING, db_constraint=False, related_name="steps")
    number = models.IntegerField()
    text = models.CharField(max_length=20)

    def __str__(self) -> str:
        return f"{self.text} of {self.slot.note}"
