"""A blog's first days in three languages, through djangocms-stories and django CMS: texts come from
translations that are written after their objects, by way of a cache; trees, tags, sorted sets."""

from __future__ import annotations

import pytest
from cms.api import create_page, create_page_content
from cms.constants import TEMPLATE_INHERITANCE_MAGIC
from cms.models import Page
from django.contrib.auth.models import User
from django.db import connection, transaction
from djangocms_stories.cms_appconfig import StoriesConfig, config_defaults
from djangocms_stories.models import Post, PostCategory, PostContent

from auditrepr.asof.related.related_querysets import NO_ORDER
from auditrepr.asof.states.states import BESIDE
from tests.applications.telling import tell

OTHERS = {"auditrepr", "contenttypes", "sessions", "admin"}


def _blog() -> None:
    ann = User.objects.create_superuser("ann")
    fields = {field.name for field in StoriesConfig._meta.fields}
    usual = {n: v for n, v in config_defaults.items() if n in fields and v is not None}
    config = StoriesConfig.objects.create(
        **usual | {"namespace": "news", "app_title": "News", "set_author": True}
    )
    plants = _category(config, None, "plants", "Pflanzen")
    trees = _category(config, plants, "trees", "Bäume")
    posts = [_post(config, ann, trees, name) for name in ("oak", "ash", "elm", "fir", "yew")]
    posts[0].related.set(posts[1:])
    posts[1].related.set([posts[2], posts[0]])
    posts[3].related.set(posts[:3])
    home = create_page("home", TEMPLATE_INHERITANCE_MAGIC, "en", created_by=ann)
    create_page("about", TEMPLATE_INHERITANCE_MAGIC, "en", created_by=ann, parent=home)
    create_page_content("de", "zu Hause", home, created_by=ann)
    _change(config, plants, trees, posts)
    _remove(ann, plants, trees, posts)


def _category(config, parent, english: str, german: str) -> PostCategory:
    with transaction.atomic():
        category = PostCategory.objects.create(app_config=config, parent=parent, name=english)
        category.create_translation("de", name=german, slug=german.lower())
    return category


def _post(config, author, category, name: str) -> Post:
    with transaction.atomic():
        post = Post.objects.create(app_config=config, author=author)
        for language in ("en", "de", "fr"):
            PostContent.objects.create(post=post, language=language, title=f"{name} ({language})")
    post.categories.add(category)
    post.tags.add("green", name)
    return post


def _change(config, plants, trees, posts) -> None:
    """Through translations in another language, in bulk and in raw SQL."""
    trees.set_current_language("de")
    trees.name = "Gehölze"
    trees.save()
    trees.translations.filter(language_code="en").update(name="timber")
    config.app_title = "All the news"
    config.save()
    PostContent.objects.filter(language="de").update(title="in German")
    posts[1].postcontent_set.get(language="en").delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE djangocms_stories_postcontent SET title = title || '!'")
        cursor.execute("UPDATE taggit_tag SET name = upper(name)")
    posts[2].tags.remove("elm")
    posts[0].related.set([posts[2]])
    plants.delete_translation("de")
    about = Page.objects.order_by("pk").last()
    about.move_page(None) if about.parent is None else about.delete()


def _remove(ann, plants, trees, posts) -> None:
    with transaction.atomic():
        posts[2].delete()
    with transaction.atomic():
        Post.objects.all().delete()
    with transaction.atomic():
        trees.delete()
    with transaction.atomic():
        plants.delete()
    User.objects.filter(pk=ann.pk).update(username="anna")


@pytest.mark.django_db(transaction=True)
def test_the_representations_of_a_blog_are_the_texts_of_its_objects():
    told = tell(_blog, OTHERS)
    assert (told.events, told.raised) == (128, {})
    if connection.vendor == "postgresql":
        # What shows the first of a post's languages: they are ordered by their post alone.
        tables = ("djangocms_stories_postcategory", "taggit_taggeditem")
        assert (told.exact, told.mixed) == (117, {table: {NO_ORDER} for table in tables})
    else:
        # How many changed in one millisecond is a matter of speed.
        assert all(why == {BESIDE} for why in told.mixed.values())
