"""The first days of a forum, with django-machina's own test data."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat
from machina.core.db.models import get_model
from machina.test.factories import (
    AttachmentFactory,
    GroupFactory,
    GroupForumPermissionFactory,
    PostFactory,
    TopicPollFactory,
    TopicPollOptionFactory,
    TopicPollVoteFactory,
    TopicReadTrackFactory,
    UserFactory,
    UserForumPermissionFactory,
    create_category_forum,
    create_forum,
    create_topic,
)
from machina.test.factories.tracking import ForumReadTrackFactory

from tests.applications.telling import tell

OTHERS = {"auditrepr", "contenttypes", "sessions", "admin"}

Forum = get_model("forum", "Forum")
Post = get_model("forum_conversation", "Post")
Topic = get_model("forum_conversation", "Topic")


def _forum() -> None:
    arts = create_category_forum(name="arts")
    music = create_forum(name="music", parent=arts)
    opera = create_forum(name="opera", parent=music)
    ann, ben = UserFactory(username="ann"), UserFactory(username="ben")
    topics = [_topic(forum, poster) for forum in (music, opera) for poster in (ann, ben)]
    topics[0].subscribers.add(ann, ben)
    for user in (ann, ben):
        UserForumPermissionFactory(user=user, forum=music)
        ForumReadTrackFactory(user=user, forum=opera)
        TopicReadTrackFactory(user=user, topic=topics[-1])
    GroupForumPermissionFactory(group=GroupFactory(), forum=opera)
    _change(music, opera, topics)
    with transaction.atomic():
        ben.delete()
    with transaction.atomic():
        arts.delete()


def _topic(forum, poster):
    with transaction.atomic():
        topic = create_topic(forum=forum, poster=poster, subject=f"{poster} on {forum}")
        for number in range(3):
            PostFactory(topic=topic, poster=poster, subject=f"{number}: {poster} on {forum}")
    AttachmentFactory(post=topic.posts.last())
    poll = TopicPollFactory(topic=topic, question="which?")
    for text in ("this", "that"):
        option = TopicPollOptionFactory(poll=poll, text=text)
        TopicPollVoteFactory(poll_option=option, voter=poster)
    return topic


def _change(music, opera, topics) -> None:
    """Renamed, moved in the tree and by moderators, in bulk; the first post of a topic goes."""
    music.name = "classical music"
    music.save()
    opera.refresh_from_db()
    opera.move_to(Forum.objects.get(name="arts"))
    opera.save()
    User.objects.filter(username="ann").update(username="anna")
    Post.objects.filter(topic=topics[1]).update(subject=Concat("subject", Value("!")))
    topics[0].forum = opera
    topics[0].save()
    topics[0].first_post.delete()
    topics[0].subscribers.clear()
    Topic.objects.filter(pk=topics[2].pk).delete()


@pytest.mark.django_db(transaction=True)
def test_the_representations_of_a_forum_are_the_texts_of_its_objects():
    told = tell(_forum, OTHERS)
    assert (told.events, told.exact, told.mixed) == (182, 182, {})
    assert told.raised == {}
