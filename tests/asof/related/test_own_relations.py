"""Tests that a project's own classes of relations have their say, as in live code."""

from __future__ import annotations

import pytest

import auditrepr
from auditrepr.asof.related.related_querysets import NO_ORDER
from auditrepr.models import AuditLog
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.playlists import Cover, Entry, Note, Playlist, Song, Text, Verse
from tests.oracle import Oracle, assert_true

pytestmark = pytest.mark.django_db(transaction=True)

SAID = {
    "related manager": lambda p: str([song.title for song in p.songs.all()]),
    "further condition": lambda p: p.translation.title,
    "foreign key": lambda p: p.favorite.title,
    "reverse one-to-one": lambda p: str(hasattr(p, "cover")),
    "conditions of a set": lambda p: str(sorted(text.lang for text in p.text_set.all())),
    "conditions, and a manager": lambda p: str(sorted(note.lang for note in p.note_set.all())),
    "a manager's order": lambda p: str([verse.number for verse in p.verse_set.all()]),
    "number of a set": lambda p: str(p.text_set.count()),
}


def playlist_of_two() -> Playlist:
    songs = [Song.objects.create(title=title) for title in "ab"]
    playlist = Playlist.objects.create(name="p", favorite=songs[1])
    for song, place in zip(songs, (2, 1), strict=True):
        Entry.objects.create(playlist=playlist, song=song, place=place)
    for lang in "de", "en-us", "draft":
        Text.objects.create(of=playlist, lang=lang, title=lang)
    for lang in "de", "hidden", "draft":
        Note.objects.create(of=playlist, lang=lang)
    for number in 1, 3, 2:
        Verse.objects.create(of=playlist, number=number)
    Cover.objects.create(of=playlist, title="a")
    return playlist


@pytest.mark.parametrize("name", SAID)
def test_the_projects_own_class_finds_what_it_finds_live(name, monkeypatch):
    monkeypatch.setattr(Playlist, "__str__", SAID[name])
    playlist_of_two()
    oracle = Oracle([Playlist])
    with oracle.listening():
        Playlist.objects.update(name="q")
        Cover.objects.update(title="c")
        Playlist.objects.update(name="r")
    Song.objects.update(title="now")
    Text.objects.update(title="now")
    Entry.objects.update(place=0)
    Verse.objects.update(number=0)
    assert_true(oracle)


@pytest.mark.parametrize("name", SAID)
def test_as_of_finds_it_as_of_then(name):
    playlist = playlist_of_two()
    live, moment = SAID[name](Playlist.objects.get()), AuditLog.objects.latest("pk")
    Song.objects.update(title="now")
    Text.objects.update(title="now")
    Cover.objects.update(title="now")
    Entry.objects.update(place=0)
    Verse.objects.update(number=0)
    assert SAID[name](auditrepr.as_of(Playlist, moment, pk=playlist.pk)) == live


EXTRA = {
    "a column of the links": {"order_by": ["-app_entry.place"]},
    "an expression": {"select": {"far": "100 - app_entry.place"}, "order_by": ["far"]},
}


@pytest.mark.parametrize("name", EXTRA)
def test_equal_members_are_found_in_an_order_that_is_no_field(name, monkeypatch):
    """The songs lie in another order than their links."""

    def said(playlist):
        return str([song.title for song in playlist.songs.extra(**EXTRA[name])])

    monkeypatch.setattr(Playlist, "__str__", said)
    songs = [Song.objects.create(title=title) for title in "ab"]
    playlist = Playlist.objects.create(name="p")
    for song in reversed(songs):
        Entry.objects.create(playlist=playlist, song=song, place=song.pk)
    Playlist.objects.update(name="q")
    Entry.objects.update(place=0)
    Playlist.objects.update(name="r")
    rows = AuditLog.objects.filter(table_name="app_playlist")
    outcomes = build([Event.of(row) for row in rows.order_by("pk")], "default")
    assert [(one.text, one.reason) for one in outcomes][:2] == [("[]", ""), ("['b', 'a']", "")]
    assert outcomes[2].reason == NO_ORDER
