"""Models with relations of a project's own classes, as other packages bring them."""

from __future__ import annotations

from django.db import models
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.utils.functional import cached_property

import auditrepr


class SortedDescriptor(ManyToManyDescriptor):
    @cached_property
    def related_manager_cls(self):
        class Sorted(super().related_manager_cls):
            def get_queryset(self):  # as django-sortedm2m has it
                try:
                    return self.instance._prefetched_objects_cache[self.prefetch_cache_name]
                except (AttributeError, KeyError):
                    table = self.through._meta.db_table
                    return super().get_queryset().extra(order_by=[f"{table}.place"])

        return Sorted


class SortedManyToMany(models.ManyToManyField):
    def contribute_to_class(self, cls, name, **options):
        super().contribute_to_class(cls, name, **options)
        setattr(cls, name, SortedDescriptor(self.remote_field, reverse=False))


class Translated(models.ForeignObject):  # as in Django's tests of foreign_object
    requires_unique_target = False

    def get_extra_descriptor_filter(self, instance):
        return {"lang": "en-us"}


class OfTheFirst(ForwardManyToOneDescriptor):
    def get_object(self, instance):
        return self.get_queryset(instance=instance).order_by("pk").first()


class ToTheFirst(models.ForeignKey):
    forward_related_accessor_class = OfTheFirst


class OnlyLong(ReverseOneToOneDescriptor):
    def get_queryset(self, **hints):
        return super().get_queryset(**hints).filter(title__gt="b")


class Sleeved(models.OneToOneField):
    related_accessor_class = OnlyLong


class WithoutDrafts(ReverseManyToOneDescriptor):
    @cached_property
    def related_manager_cls(self):
        class Published(super().related_manager_cls):
            def _apply_rel_filters(self, queryset):
                return super()._apply_rel_filters(queryset).exclude(lang="draft")

        return Published


class OfPublished(models.ForeignKey):
    related_accessor_class = WithoutDrafts


@auditrepr.track
class Song(models.Model):
    title = models.CharField(max_length=20)


@auditrepr.track
class Playlist(models.Model):
    name = models.CharField(max_length=20)
    songs = SortedManyToMany(Song, through="Entry")
    translation = Translated("Text", models.CASCADE, ["id"], ["of"], related_name="+", null=True)
    favorite = ToTheFirst(Song, models.CASCADE, related_name="+", null=True)


@auditrepr.track
class Entry(models.Model):
    playlist = models.ForeignKey(Playlist, models.CASCADE)
    song = models.ForeignKey(Song, models.CASCADE)
    place = models.IntegerField()


@auditrepr.track
class Text(models.Model):
    of = OfPublished(Playlist, models.CASCADE)
    lang = models.CharField(max_length=9)
    title = models.CharField(max_length=20)


class Visible(models.Manager):
    def get_queryset(self):
        return super().get_queryset().exclude(lang="hidden")


@auditrepr.track
class Note(models.Model):
    of = OfPublished(Playlist, models.CASCADE)
    lang = models.CharField(max_length=9)
    objects = Visible()


class Backwards(models.Manager):
    def get_queryset(self):
        return super().get_queryset().extra(order_by=["-app_verse.number"])


@auditrepr.track
class Verse(models.Model):
    of = models.ForeignKey(Playlist, models.CASCADE)
    number = models.IntegerField()
    objects = Backwards()


@auditrepr.track
class Cover(models.Model):
    title = models.CharField(max_length=20)
    of = Sleeved(Playlist, models.CASCADE)
