"""Two conferences, told through pretalx's own API: each object's manager needs the scope of its
conference, drafts and questions are hidden, names are translated, settings are kept in caches."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils.timezone import now
from django_scopes import scope, scopes_disabled
from pretalx.event.models import Event, Organiser
from pretalx.event.utils import create_organiser_with_team
from pretalx.person.models import SpeakerProfile, User
from pretalx.schedule.models import Availability, Room
from pretalx.submission.models import (
    Answer,
    AnswerOption,
    Feedback,
    Question,
    Resource,
    Review,
    Submission,
    SubmissionComment,
    Tag,
    Track,
)

from auditrepr.asof.states.states import BESIDE
from tests.applications.telling import tell

OTHERS = {"auditrepr", "contenttypes", "sessions", "authtoken"}


def _conferences() -> None:
    ann, ben = (_user(name) for name in ("ann", "ben"))
    organiser, team = create_organiser_with_team(name="Club", slug="club", users=[ann])
    events = [_event(organiser, slug) for slug in ("spring", "autumn")]
    for event in events:
        with scope(event=event):
            team.limit_events.add(event)
            _call_for_papers(event, ann, ben)
    with scope(event=events[0]):
        _schedule(events[0], ann)
    with scope(event=events[1]):
        _changes(events[1], ann)
    ben.name = "Benjamin"
    ben.save()
    with scopes_disabled(), transaction.atomic():
        events[1].shred(person=ann)
    Organiser.objects.update(name="The club")


def _user(name: str) -> User:
    return User.objects.create_user(name=name, email=f"{name}@example.org", password="secret")


def _event(organiser: Organiser, slug: str) -> Event:
    start = now().date() + timedelta(days=30)
    with scopes_disabled():
        event = Event.objects.create(
            name=f"{slug} days", slug=slug, organiser=organiser, email="club@example.org",
            date_from=start, date_to=start + timedelta(days=2), locale_array="en,de",
        )  # fmt: skip
    with scope(event=event):
        event.build_initial_data()
    return event


def _call_for_papers(event: Event, ann: User, ben: User) -> None:
    track = Track.objects.create(event=event, name="databases", color="#ff0000")
    tag = Tag.objects.create(event=event, tag="new", color="#00ff00")
    question = Question.objects.create(
        event=event, question="Which day?", variant="choices", target="submission"
    )
    days = [AnswerOption.objects.create(question=question, answer=f"day {n}") for n in (1, 2)]
    room = Room.objects.create(event=event, name="hall")
    for number in range(4):
        with transaction.atomic():
            user = (ann, ben)[number % 2]
            speaker, _ = SpeakerProfile.objects.get_or_create(user=user, event=event)
            talk = Submission.objects.create(
                event=event, title=f"talk {number}", track=track,
                submission_type=event.cfp.default_type, content_locale="en",
            )  # fmt: skip
            talk.speakers.add(speaker)
            talk.tags.add(tag)
            talk.log_action("pretalx.submission.create", person=user)
        answer = Answer.objects.create(question=question, submission=talk, answer=str(days[0]))
        answer.options.add(days[0])
        Review.objects.create(submission=talk, user=ann, score=1, text="good")
        SubmissionComment.objects.create(submission=talk, user=ben, text="mine")
        Resource.objects.create(submission=talk, link="https://example.org", description="slides")
    Availability.objects.create(
        event=event, room=room, start=event.datetime_from, end=event.datetime_to
    )
    event.settings.set("review_max_score", 2)
    event.settings.get("review_max_score")


def _schedule(event: Event, ann: User) -> None:
    """Two talks are accepted, confirmed and get their place; the schedule is released twice."""
    first, second, third, last = event.submissions.order_by("pk")
    room = event.rooms.get()
    for n, talk in enumerate((first, second)):
        talk.accept(person=ann)
        talk.confirm(person=ann)
        slot = talk.slots.get(schedule=event.wip_schedule)
        slot.room, slot.start = room, event.datetime_from + timedelta(hours=n)
        slot.end = slot.start + timedelta(minutes=30)
        slot.save()
    event.wip_schedule.freeze("v1", user=ann, notify_speakers=False)
    third.reject(person=ann)
    last.withdraw(person=ann)
    Feedback.objects.create(talk=first, review="nice", rating=5)
    second.title = "another title"
    second.save()
    event = Event.objects.get(pk=event.pk)
    event.wip_schedule.freeze("v2", user=ann, notify_speakers=False)
    event.name = "spring time"
    event.save()


def _changes(event: Event, ann: User) -> None:
    """In bulk, in raw SQL; and sessions that managers no longer show."""
    first, second, *_ = event.submissions.order_by("pk")
    first.delete(person=ann)
    Submission.objects.filter(pk=second.pk).update(title="renamed in bulk")
    Submission.all_objects.filter(pk=second.pk).update(state="draft")
    Question.all_objects.update(active=False)
    Track.objects.update(name="data")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE event_event SET slug = slug || '2' WHERE id = %s", [event.pk])
        cursor.execute("UPDATE person_user SET name = 'Anna' WHERE id = %s", [ann.pk])
    AnswerOption.objects.filter(answer="day 1").update(answer="the first day")
    SubmissionComment.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_the_representations_of_conferences_are_the_texts_of_their_objects():
    told = tell(_conferences, OTHERS)
    assert (told.events, told.raised) == (243, {})
    if connection.vendor == "postgresql":
        assert (told.exact, told.mixed) == (243, {})
    else:
        # How many changed in one millisecond is a matter of speed.
        assert all(why == {BESIDE} for why in told.mixed.values())
