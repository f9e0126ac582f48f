"""Models on base classes of three packages, as their documentation suggests."""

from __future__ import annotations

from django.db import models
from polymorphic.models import PolymorphicModel
from taggit.managers import TaggableManager
from treebeard.mp_tree import MP_Node


class Category(MP_Node):
    """A tree in one table, whose nodes' paths many statements rewrite at once."""

    name = models.CharField(max_length=30)
    node_order_by = ["name"]

    def __str__(self) -> str:
        return f"Category: {self.name} ({self.path})"


class Project(PolymorphicModel):
    topic = models.CharField(max_length=30)
    category = models.ForeignKey(Category, models.SET_NULL, null=True)
    tags = TaggableManager(blank=True)

    def __str__(self) -> str:
        return f"{self.topic} in {self.category and self.category.name}"


class ArtProject(Project):
    artist = models.CharField(max_length=30)

    def __str__(self) -> str:
        return f"{self.topic} by {self.artist} in {self.category and self.category.name}"


class StreetArt(ArtProject):
    wall = models.CharField(max_length=30)

    def __str__(self) -> str:
        return f"{self.topic} by {self.artist} on {self.wall} ({self.category})"


class Step(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="steps")
    title = models.CharField(max_length=30)

    def __str__(self) -> str:
        return f"{self.title} of {self.project}"
