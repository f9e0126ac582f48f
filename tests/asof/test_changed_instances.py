"""Tests that code may change, copy and read again the objects that it is given."""

from __future__ import annotations

import copy
import pickle

import pytest

import auditrepr
from auditrepr.asof.own_values import changeable, with_own_values
from auditrepr.models import AuditLog, Fidelity
from auditrepr.vendors.types import Found, Row
from tests.app.fields import ByName, Everything
from tests.app.models import Author, Book
from tests.app.relations import Remark
from tests.app.trays import Piece, Scrap, Tray
from tests.oracle import Oracle, assert_true, built

pytestmark = pytest.mark.django_db(transaction=True)


def reversed_value(remark):
    remark.target.json.reverse()
    return str(remark.target.json)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"title": "t"}, lambda remark: remark.target.json.pop("title")),
        (["a", "b"], reversed_value),
    ],
)
def test_what_code_does_to_a_value_of_a_related_object_the_next_event_does_not_see(
    value, said, monkeypatch
):
    monkeypatch.setattr(Remark, "__str__", said)
    target = Everything.objects.create(json=value, scrambled="x", pair=(1, 2))
    oracle = Oracle([Remark])
    with oracle.listening():
        Remark.objects.create(target=target, text="1")
        Remark.objects.update(text="2")
    assert_true(oracle)


def test_what_code_does_to_a_value_a_query_of_the_set_does_not_see(monkeypatch):
    def said(tray):
        popped = [piece.data.pop() for piece in tray.pieces.all()]
        return f"{popped} {tray.pieces.filter(data=['a', 'b']).count()}"

    monkeypatch.setattr(Tray, "__str__", said)
    tray = Tray.objects.create(name="1")
    Piece.objects.create(tray=tray, data=["a", "b"])
    oracle = Oracle([Tray])
    with oracle.listening():
        Tray.objects.update(name="2")
        Tray.objects.update(name="3")
    assert_true(oracle)


def test_only_values_that_can_be_changed_are_copied_and_only_the_second_time():
    assert not changeable(Book)
    assert {"json", "pair"} <= set(changeable(Everything))
    assert {"char", "renamed", "upper"}.isdisjoint(changeable(Everything))
    row = Row({"json": ["a"], "char": "b"})
    plain = [Found(row)] * 2
    assert with_own_values(Book, plain, 0, None, kept=False) is plain
    first, second = with_own_values(Everything, plain, 0, None, kept=False)
    assert first.row is row
    assert second.row == row
    assert second.row.values["json"] is not row.values["json"]


def test_copies_that_need_too_much_memory_are_not_made():
    def refuse():
        raise MemoryError

    found = [Found(Row({"json": ["a" * 99]}))] * 2
    with pytest.raises(MemoryError):
        with_own_values(Everything, found * 3, 200, refuse, kept=False)


class Stubborn:
    def __reduce_ex__(self, _):
        raise TypeError("not to be copied")


@pytest.mark.parametrize("value", [lambda: 1, Stubborn()])
def test_a_value_that_cannot_be_copied_is_shared(value):
    found = [Found(Row({"json": value}))] * 2
    *_, last = with_own_values(Everything, found, 0, None, kept=False)
    assert last.row.values["json"] is value


@pytest.mark.parametrize("change", [{"price": 1}, {"author": None}])
def test_a_foreign_key_that_code_sets_leads_to_its_new_object(change, monkeypatch):
    nobody, someone = (Author.objects.create(name=name) for name in ("nobody", "someone"))

    def said(book):
        if book.price or book.author_id is None:
            book.author_id = nobody.pk
        return book.author.name

    monkeypatch.setattr(Book, "__str__", said)
    oracle = Oracle([Book])
    with oracle.listening():
        Book.objects.create(title="x", author=someone)
        Book.objects.update(**change)
    assert_true(oracle)


def test_a_key_that_code_has_spoilt_is_nothing_to_the_next_event(monkeypatch):
    def said(book):
        if not book.price:
            book.author_id = "none"
            return book.title
        return book.author.name

    monkeypatch.setattr(Book, "__str__", said)
    oracle = Oracle([Book])
    with oracle.listening():
        Book.objects.create(title="x", author=Author.objects.create(name="a"))
        Book.objects.update(price=1)
    assert_true(oracle)


def test_a_key_that_code_sets_back_leads_to_the_first_object(monkeypatch):
    nobody, someone = (Author.objects.create(name=name) for name in ("nobody", "someone"))

    def said(book):
        first, book.author_id = book.author_id, nobody.pk
        names = [book.author.name]
        book.author_id = first
        return str([*names, book.author.name])

    monkeypatch.setattr(Book, "__str__", said)
    oracle = Oracle([Book])
    with oracle.listening():
        Book.objects.create(title="x", author=someone)
        Book.objects.update(price=1)
    assert_true(oracle)


def test_the_sets_of_an_object_are_those_of_the_key_that_code_sets(monkeypatch):
    first, second = (Author.objects.create(name=name) for name in "ab")

    def said(author):
        own = author.books.count()
        author.pk = second.pk
        return f"{own} {[book.title for book in author.books.all()]} {author.books.count()}"

    monkeypatch.setattr(Author, "__str__", said)
    Book.objects.create(title="x", author=second)
    oracle = Oracle([Author])
    with oracle.listening():
        Author.objects.filter(pk=first.pk).update(name="c")
        Author.objects.filter(pk=first.pk).update(name="d")
    Book.objects.update(title="now")
    assert_true(oracle)


def test_as_of_follows_a_key_that_was_set_as_of_then():
    nobody, someone = (Author.objects.create(name=name) for name in ("nobody", "someone"))
    book = Book.objects.create(title="x", author=someone)
    moment = AuditLog.objects.latest("pk")
    Author.objects.update(name="now")
    past = auditrepr.as_of(Book, moment, pk=book.pk)
    assert past.author.name == "someone"
    past.author_id = nobody.pk
    assert past.author.name == "nobody"


def refreshed(book):
    book.refresh_from_db(fields=["title"])
    return book.title


def changed_and_refreshed(book):
    book.title = "unsaved"
    book.refresh_from_db(fields=["author", "title"])
    return f"{book.title} {book.author}"


# Book excludes "secret".
@pytest.mark.parametrize("said", [refreshed, changed_and_refreshed])
def test_a_known_value_may_be_read_again_though_another_is_unknown(said, monkeypatch):
    monkeypatch.setattr(Book, "__str__", said)
    oracle = Oracle([Book])
    with oracle.listening():
        Book.objects.create(title="x")
    Book.objects.update(title="now")
    assert_true(oracle)


def test_what_is_unknown_stays_unknown_when_it_is_read_again(monkeypatch):
    def said(book):
        book.refresh_from_db(fields=["secret", "title"])
        return f"{book.title} {book.secret}"

    monkeypatch.setattr(Book, "__str__", said)
    Book.objects.create(title="x", secret="s")
    (outcome,) = built().values()
    assert outcome.fidelity == Fidelity.MIXED
    assert outcome.text == "x [secret: not recorded]"


def through_pickle(one):
    return pickle.loads(pickle.dumps(one))


COPIES = pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, through_pickle])


@COPIES
def test_an_object_may_be_copied(copied, monkeypatch):
    def said(author):
        before = len(author.books.all())
        there = copied(author)
        return f"{there.name} {before} {there.books.count()} {copied(author.books.all()).count()}"

    monkeypatch.setattr(Author, "__str__", said)
    oracle = Oracle([Author])
    with oracle.listening():
        author = Author.objects.create(name="a")
        Book.objects.create(title="x", author=author)
        author.save()
    assert_true(oracle)


@COPIES
def test_a_copy_has_the_relations_of_the_moment(copied, monkeypatch):
    monkeypatch.setattr(Book, "__str__", lambda book: copied(book).author.name)
    oracle = Oracle([Book])
    with oracle.listening():
        Book.objects.create(title="x", author=Author.objects.create(name="a"))
    Author.objects.update(name="now")
    assert_true(oracle)


def test_a_copy_does_not_copy_the_batch(monkeypatch):
    authors = []

    def said(author):
        list(author.books.all())
        authors.append(copy.deepcopy(author))
        return author.name

    monkeypatch.setattr(Author, "__str__", said)
    Author.objects.create(name="a")
    built()
    assert type(authors[0]._prefetched_objects_cache) is dict
    assert not authors[0]._prefetched_objects_cache


def test_what_the_copy_lacks_is_noted(monkeypatch):
    monkeypatch.setattr(Book, "__str__", lambda book: copy.deepcopy(book).secret)
    Book.objects.create(title="x", secret="s")
    (outcome,) = built().values()
    assert (outcome.text, outcome.fidelity) == ("[secret: not recorded]", Fidelity.MIXED)


def test_a_natural_key_may_be_set(monkeypatch):
    monkeypatch.setattr(ByName, "__str__", lambda one: f"{setattr(one, 'name', 'b')} {one.pk}")
    oracle = Oracle([ByName])
    with oracle.listening():
        ByName.objects.create(name="a")
    assert_true(oracle)


def test_who_does_not_follow_an_unknown_key_is_not_mixed_because_another_event_does():
    tray = Tray.objects.create(name="1")
    for name in ("asks", "does not"):
        Scrap.objects.create(tray=tray, name=name)
    *_, asking, other = built().values()
    assert (asking.fidelity, other.text) == (Fidelity.MIXED, "does not")
    assert other.fidelity == Fidelity.EXACT
