"""Tests that old events are found and read after renames of tables and columns."""

from __future__ import annotations

import datetime as dt
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection, migrations, models
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from django.test import Client, override_settings
from django.utils import timezone

import auditrepr
from auditrepr import track
from auditrepr.admin import job_page
from auditrepr.job.rebuilding.selection import Selection
from auditrepr.lineage import renames
from auditrepr.lineage.migration_walk import TableRenamed, Walk
from auditrepr.lineage.migrations import added_columns, changes
from auditrepr.models import AuditLog, ReprFailure
from auditrepr.readers import changes as readers_changes
from auditrepr.readers import values
from auditrepr.tracking.decorator import MARKED
from auditrepr.vendors.types import BEGINNING
from tests.capturing import sql
from tests.examples import examples
from tests.migrating import Then, built, from_the_beginning, texts, today

(EXAMPLE,) = examples("docs/schema-drift.md", "python")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def first(settings) -> Then:
    settings.AUDITREPR = {"MODELS": ["drifting.*"]}
    return from_the_beginning()


def item(then: Then, shop: object, name: str = "shop", **columns: object):
    return {"left": "L", "right": "R", "weight": 5, name: shop, **columns}


@pytest.mark.proof
def test_columns_renamed_once_and_twice_into_each_other_and_into_names_that_others_had(first):
    shop = first.Shop.create(name="Corner")
    first.Item.create(**item(first, shop, title="Cup", serial="S1", code="C1"))
    second = Then("0002_first_names")
    store = second.Store.get()
    second.Item.create(**item(second, store, "store", label="Pot", serial="S2", code="C2"))
    third = Then("0003_second_names")
    store = third.Store.get()
    third.Item.create(**item(third, store, "store", caption="Pan", code="S3", left="R", right="L"))
    today()
    assert texts("drifting_item") == [
        "Cup S1 R<L 5g in Corner: ",
        "Pot S2 R<L 5g in Corner: ",
        "Pan S3 R<L 5g in Corner: ",
    ]


@pytest.mark.proof
def test_what_an_update_found_is_read_by_the_names_of_its_time(first):
    shop = first.Shop.create(name="Corner")
    first.Item.create(**item(first, shop, title="Cup", serial="S1"))
    first.Item.update(title="Mug", right="X")
    Then("0003_second_names").Item.update(caption="Jar")
    today()
    assert texts("drifting_item") == [
        "Cup S1 R<L 5g in Corner: ",
        "Mug S1 X<L 5g in Corner: ",
        "Jar S1 X<L 5g in Corner: ",
    ]


@pytest.mark.proof
def test_a_model_and_its_table_renamed_twice_and_another_one_under_its_first_name(first):
    first.Shop.create(name="Corner")
    Then("0002_first_names").Store.update(name="Plaza")
    third = Then("0003_second_names")
    third.Store.update(name="Mall")
    today()
    apps.get_model("drifting", "Shop").objects.create(street="Main Street")
    tables = ["drifting_shop", "drifting_store", "outlets", "drifting_shop"]
    assert list(AuditLog.objects.order_by("pk").values_list("table_name", flat=True)) == tables
    assert [outcome.text for outcome in built()] == [
        "Corner",
        "Plaza",
        "Mall",
        "shop in Main Street",
    ]


@pytest.mark.proof
def test_related_objects_are_found_under_the_names_that_their_tables_had(first):
    shop, sticker = first.Shop.create(name="Corner"), first.Label.create(text="blue")
    cup = first.Item.create(**item(first, shop, title="Cup", serial="S"))
    cup.labels.add(sticker)
    first.Item.update(weight=6)
    first.Shop.update(name="Plaza")
    first.Item.update(weight=7)
    second = Then("0002_first_names")
    second.Store.update(name="Mall")
    second.Item.update(weight=8)
    third = Then("0003_second_names")
    third.Item.update(weight=9)
    third.Store.update(name="Market")
    third.Label.update(text="red")
    third.Item.get().labels.clear()
    third.Item.update(weight=10)
    today()
    assert texts("drifting_item") == [
        "Cup S R<L 5g in Corner: ",
        "Cup S R<L 6g in Corner: blue",
        "Cup S R<L 7g in Plaza: blue",
        "Cup S R<L 8g in Mall: blue",
        "Cup S R<L 9g in Mall: blue",
        "Cup S R<L 10g in Market: ",
    ]


@pytest.mark.proof
def test_a_set_is_found_by_a_foreign_key_that_had_another_name(first, settings):
    settings.AUDITREPR["REPR"] = {
        "drifting.Store": lambda store: ", ".join(
            one.caption for one in store.items.filter(weight__lt=9)
        )
    }
    shop = first.Shop.create(name="Corner")
    first.Item.create(**item(first, shop, title="Cup", serial="S"))
    first.Item.create(**item(first, shop, title="Pot", serial="S", weight=9))
    first.Shop.update(name="Plaza")
    second = Then("0002_first_names")
    second.Item.update(label="Pan", weight=1)
    second.Store.update(name="Mall")
    third = Then("0003_second_names")
    third.Item.all().delete()
    third.Store.update(name="Market")
    today()
    assert texts("drifting_shop", "drifting_store", "outlets") == ["", "Cup", "Pan, Pan", ""]


@pytest.mark.proof
def test_an_event_shows_its_changes_by_the_current_fields(first):
    shop = first.Shop.create(name="Corner")
    first.Item.create(**item(first, shop, title="Cup", serial="S"))
    first.Item.update(title="Mug", right="X")
    today()
    assert AuditLog.objects.latest("pk").changes == {"caption": ("Cup", "Mug"), "left": ("R", "X")}


@pytest.mark.proof
def test_a_batch_without_old_names_asks_as_little_as_ever(first, django_assert_max_num_queries):
    today()
    store = apps.get_model("drifting", "Store").objects.create(name="Corner")
    late = apps.get_model("drifting", "Late").objects
    late.create(name="one", store=store)
    built("drifting_late")  # SQLite's schema is looked at once
    counts = []
    for _ in range(2):
        with django_assert_max_num_queries(100) as asked:
            built("drifting_late")
        counts.append(len(asked))
        late.bulk_create(apps.get_model("drifting", "Late")(name="n") for _ in range(50))
    assert counts[0] == counts[1]


def forget(monkeypatch) -> None:
    """What is known of old names is to be found out anew."""
    monkeypatch.setattr(renames, "_KNOWN", {})


def logged(table: str, **row: object) -> AuditLog:
    pk = AuditLog.objects.create(table_name=table, object_id="5", action="I", row_data=row).pk
    return AuditLog.objects.get(pk=pk)


@pytest.fixture
def _undecorated(monkeypatch):
    """What a decorator says is forgotten after the test."""
    forget(monkeypatch)
    before = dict(MARKED)
    MARKED.clear()
    yield
    MARKED.clear()
    MARKED.update(before)


@pytest.mark.proof
@pytest.mark.usefixtures("_undecorated")
def test_what_no_migration_tells_the_decorator_says(first):
    today()
    label = apps.get_model("drifting", "Label")
    track(renamed={"text": ["words", "title"]}, former_tables=["old_label"])(label)
    rows = [{"words": "one"}, {"title": "two"}, {"text": "three"}, {"words": "four", "text": "x"}]
    for row in rows:
        logged("old_label", id=5, **row)
    assert texts() == ["one", "two", "three", "four"]


@pytest.mark.proof
@pytest.mark.usefixtures("_undecorated")
def test_the_decorator_that_the_page_shows_reads_the_names_that_it_says(first):
    today()
    decorator, _, _ = EXAMPLE.partition("\n")
    eval(decorator.removeprefix("@"), {"auditrepr": auditrepr})(apps.get_model("drifting", "Item"))
    store = apps.get_model("drifting", "Store").objects.create(name="Corner")
    row = {"store_id": store.pk, "code": "C", "left": "L", "right": "R", "grams": 5}
    for pk, name in enumerate(("title", "label", "caption"), start=1):
        logged("shop_article", id=pk, **row, **{name: name})
    outcomes = built("shop_article")
    assert [outcome.text.partition(" ")[0] for outcome in outcomes] == ["title", "label", "caption"]


@pytest.mark.proof
def test_a_migration_that_is_not_applied_has_renamed_nothing(first):
    Then("0002_first_names")
    names = {change.new for change in changes(connection) if isinstance(change, TableRenamed)}
    assert ("drifting_store" in names, "outlets" in names) == (True, False)


def copied(tmp_path: Path, monkeypatch, name: str, text: str) -> override_settings:
    """The app with a copy of its migrations and one more, as long as this holds."""
    package = f"migrations_with_{name}"
    shutil.copytree(
        Path(__file__).parent.parent.joinpath("drifting") / "migrations", tmp_path / package
    )
    (tmp_path / package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return override_settings(MIGRATION_MODULES={"drifting": package})


SQUASHED = """
from django.db import migrations

class Migration(migrations.Migration):
    initial = True
    replaces = [("drifting", "0001_initial"), ("drifting", "0002_first_names")]
"""


@pytest.mark.proof
def test_squashed_migrations_tell_what_each_of_them_did_while_they_are_there(
    first, tmp_path, monkeypatch
):
    today()
    known = changes(connection)
    with copied(tmp_path, monkeypatch, "squashed", SQUASHED):
        assert changes(connection) == known


@pytest.mark.proof
def test_migrations_that_cannot_be_read_cost_old_names_alone(first, tmp_path, monkeypatch, caplog):
    first.Label.create(text="blue")
    today()
    forget(monkeypatch)
    with copied(tmp_path, monkeypatch, "broken", "1 / 0"):
        assert texts() == ["blue"]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "Could not load the migrations, so former table and column names are unknown:"
        " division by zero"
    ]


@pytest.mark.proof
def test_without_a_record_of_migrations_all_names_are_todays(first, monkeypatch, caplog):
    first.Label.create(text="blue")
    today()
    forget(monkeypatch)
    sql("ALTER TABLE django_migrations RENAME TO hidden")
    try:
        assert texts() == ["blue"]
        assert AuditLog.objects.for_model(apps.get_model("drifting", "Label")).count() == 1
    finally:
        sql("ALTER TABLE hidden RENAME TO django_migrations")
    assert not caplog.records


@pytest.mark.proof
def test_a_renamed_table_that_no_migration_has_made_is_followed(first, monkeypatch):
    today()
    forget(monkeypatch)
    logged("old_label", id=5, text="blue")
    now = dt.datetime.now(dt.UTC)
    renaming = TableRenamed(now, "old_label", "drifting_label")
    monkeypatch.setattr(renames, "changes", lambda connection: [renaming])
    assert [outcome.text for outcome in built()] == ["blue"]


def walked(*made: Any) -> list[Any]:
    """What these operations do to names, after a table of two columns was made."""
    walk = Walk(dt.datetime.now(dt.UTC), "shop", ProjectState(), connection)
    key = ("id", models.BigAutoField(primary_key=True))
    walk.operate(migrations.CreateModel("Order", [key, ("ref", models.TextField())]))
    return [change[1:] for operation in made for change in walk.operate(operation)]


@pytest.mark.proof
def test_a_table_that_moves_to_another_app_is_followed():
    move = migrations.SeparateDatabaseAndState(
        [migrations.AlterModelTable("Order", "sales_order")], [migrations.DeleteModel("Order")]
    )
    assert walked(move) == [("shop_order", "sales_order")]


@pytest.mark.proof
def test_what_sql_renamed_is_known_by_what_the_migration_says_of_it():
    sql = migrations.RunSQL(
        "ALTER TABLE shop_order RENAME COLUMN ref TO number",
        state_operations=[migrations.RenameField("Order", "ref", "number")],
    )
    assert walked(sql) == [("shop_order", "ref", "number")]


SQL_RENAMES = [
    ("ALTER TABLE shop_order RENAME TO sales_order", ["sales_order"]),
    ("alter table if exists public.Shop_Order rename to SALES", ["sales"]),
    ('ALTER TABLE "shop_order" -- now\n RENAME TO "Sales ""2"""; SELECT 1', ['Sales "2"']),
    (["SELECT 1", ("ALTER TABLE ONLY `shop_order` RENAME TO [x y]", None)], ["x y"]),
    ("ALTER TABLE shop_order RENAME TO a; ALTER TABLE a RENAME TO b", ["a", "b"]),
    # A new table has the events of the one whose name it gets.
    ("CREATE TABLE other (id int); ALTER TABLE other RENAME TO shop_order", []),
    ("ALTER TABLE app.shop_order RENAME TO other", []),
    ("-- ALTER TABLE shop_order RENAME TO sales_order", []),
    ("COMMENT ON TABLE x IS 'ALTER TABLE shop_order RENAME TO y'", []),
    ("CREATE FUNCTION f() AS $$ ALTER TABLE shop_order RENAME TO y $$", []),
    # Too much for what parses statements.
    (f"INSERT INTO x VALUES {'(1), ' * 20_000}(1); ALTER TABLE shop_order RENAME TO y", ["y"]),
    ("ALTER TABLE shop_order RENAME COLUMN ref TO number", []),
]


@pytest.mark.parametrize(("sql", "names"), SQL_RENAMES, ids=range(len(SQL_RENAMES)))
def test_what_sql_renames_is_known_of_the_tables_of_the_project(sql: Any, names: list[str]):
    assert [change[-1] for change in walked(migrations.RunSQL(sql))] == names


def test_the_table_of_a_field_becomes_that_of_a_model():
    """As Django's documentation changes a ManyToManyField to use a through model."""
    add = migrations.AddField("Order", "friends", models.ManyToManyField("shop.Order"))
    through = models.ManyToManyField("shop.Order", through="shop.Friend")
    change = migrations.SeparateDatabaseAndState(
        [migrations.RunSQL("ALTER TABLE shop_order_friends RENAME TO shop_friend")],
        [
            migrations.CreateModel("Friend", [("id", models.BigAutoField(primary_key=True))]),
            migrations.AlterField("Order", "friends", through),
        ],
    )
    assert walked(add, change) == [
        ("shop_order_friends",),
        ("shop_order_friends", "shop_friend"),
    ]


class NeedsItsModel(models.TextField):
    """A field whose type depends on the model that it is on."""

    def db_type(self, connection: Any) -> str:
        return str(self.model._meta.db_table)


@pytest.mark.proof
def test_the_type_of_a_column_changes_where_something_changes_the_database():
    alter = migrations.AlterField("Order", "ref", models.BooleanField())
    changed = walked(alter)
    assert [change[:2] for change in changed] == [("shop_order", "ref")]
    assert walked(migrations.RunSQL("ALTER …", state_operations=[alter])) == changed
    noop = migrations.RunSQL("SELECT 1")
    assert walked(migrations.SeparateDatabaseAndState([noop], [alter])) == changed
    assert walked(migrations.SeparateDatabaseAndState([], [alter])) == []
    assert walked(migrations.AlterField("Order", "ref", NeedsItsModel())) == []


@pytest.mark.proof
def test_another_primary_key_is_a_change_but_not_another_name_of_it():
    other = models.CharField(max_length=9, primary_key=True)
    becomes = [migrations.RemoveField("Order", "id"), migrations.AlterField("Order", "ref", other)]
    assert ("shop_order",) in walked(*becomes)
    renamed = walked(migrations.RenameField("Order", "id", "number"))
    assert renamed == [("shop_order", "id", "number")]


def test_a_field_renamed_over_its_old_column_is_no_change():
    column = models.TextField(db_column="ref")
    alter = migrations.AlterField("Order", "ref", column)
    assert walked(alter, migrations.RenameField("Order", "ref", "number")) == []


@pytest.mark.proof
def test_a_many_to_many_table_follows_its_model_and_its_field():
    add = migrations.AddField("Order", "friends", models.ManyToManyField("shop.Order"))
    rename = migrations.RenameField("Order", "friends", "peers")
    assert walked(add, rename, migrations.RenameModel("Order", "Sale")) == [
        ("shop_order_friends",),
        ("shop_order_friends", "shop_order_peers"),
        ("shop_order_peers", "shop_sale_peers"),
        ("shop_sale_peers", "from_order_id", "from_sale_id"),
        ("shop_sale_peers", "to_order_id", "to_sale_id"),
        ("shop_order", "shop_sale"),
    ]


@pytest.mark.proof
def test_a_many_to_many_table_that_goes_and_comes_back_is_another_one():
    add = migrations.AddField("Order", "friends", models.ManyToManyField("shop.Order"))
    assert walked(add, migrations.RemoveField("Order", "friends"), add) == [
        ("shop_order_friends",),
        ("shop_order_friends",),
    ]


@pytest.mark.proof
def test_a_composite_key_is_no_column_and_a_model_of_links_makes_one_table():
    through = models.ManyToManyField("shop.Order", through="shop.Link")
    columns = [(name, models.IntegerField()) for name in ("left", "right")]
    key = ("pk", models.CompositePrimaryKey("left", "right"))
    link = migrations.CreateModel("Link", [key, *columns])
    assert walked(link, migrations.AddField("Order", "friends", through)) == [("shop_link",)]
    rename = migrations.RenameField("Order", "ref", "number")
    assert walked(link, migrations.RenameModel("Link", "Edge"), rename) == [
        ("shop_link",),
        ("shop_link", "shop_edge"),
        ("shop_order", "ref", "number"),
    ]


@pytest.mark.proof
def test_old_events_are_shown_and_found_by_current_names(first):
    first.Shop.create(name="Corner")
    first.Item.create(**item(first, first.Shop.get(), title="Cup", serial="S1"))
    first.Item.update(title="Mug")
    Then("0003_second_names").Store.update(name="Mall")
    today()
    store, other = apps.get_model("drifting", "Store"), apps.get_model("drifting", "Shop")
    other.objects.create(street="Main Street")
    events = AuditLog.objects.order_by("pk")
    assert [event.row_data.get("name") for event in events.for_model(store)] == ["Corner", "Mall"]
    assert [event.row_data["street"] for event in events.for_model(other)] == ["Main Street"]
    assert events.for_object(store.objects.get()).count() == 2
    mug = events.get(row_data__title="Mug")
    [change] = readers_changes.changes(mug)
    assert str(change) == "caption: Cup → Mug"
    [said] = values.words([mug], "default")
    assert (said["title", False], said["title", True]) == ("Mug", "Cup")
    selection = Selection.of("default", model="drifting.Store")
    chosen = selection.rows("default", BEGINNING, events.last().pk)
    call_command("backfill_reprs", verbosity=0)
    assert [event.row_data["name"] for event in chosen] == ["Corner", "Mall"]


@pytest.mark.proof
def test_the_admin_shows_them_under_the_current_model_to_users_with_permission(first):
    first.Shop.create(name="Corner")
    Then("0003_second_names").Store.update(name="Mall")
    today()
    apps.get_model("drifting", "Shop").objects.create(street="Main Street")
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(
        Permission.objects.filter(codename__in=["view_auditlog", "view_store"])
    )
    client = Client()
    client.force_login(clerk)
    page = client.get("/admin/auditrepr/auditlog/", {"table_name": "outlets"}).content.decode()
    assert ("Corner" in page, "Mall" in page, "Main Street" in page) == (True, True, False)
    everything = client.get("/admin/auditrepr/auditlog/").content.decode()
    assert ("Corner" in everything, "Main Street" in everything) == (True, False)
    timeline = client.get(
        "/admin/auditrepr/auditlog/object/", {"table_name": "outlets", "object_id": "1"}
    ).content.decode()
    assert "Corner" in timeline
    assert "Mall" in timeline


@pytest.mark.proof
def test_a_failure_is_counted_and_retried_under_the_current_model(first):
    first.Shop.create(name="Corner")
    Then("0003_second_names")
    today()
    apps.get_model("drifting", "Shop").objects.create(street="Main Street")
    of_store, of_shop = AuditLog.objects.order_by("pk")
    assert of_store.table_name == of_shop.table_name == "drifting_shop"
    for event in (of_store, of_shop):
        ReprFailure.objects.create(
            audit_log=event, error_class="ValueError", message="no", next_attempt_at=timezone.now()
        )
    admin = User.objects.create_superuser("boss")
    kinds = job_page._by_kind(admin, "default", "failed")
    assert {(row["table_name"], row["model"]) for row in kinds.rows} == {
        ("outlets", "Store"),
        ("drifting_shop", "Shop"),
    }
    ReprFailure.objects.update(next_attempt_at=timezone.now() + timedelta(days=1))
    assert job_page.retry(admin, "default", "outlets", "ValueError") == 1
    due = ReprFailure.objects.filter(next_attempt_at__lte=timezone.now())
    assert [failure.pk for failure in due] == [of_store.pk]


@pytest.mark.proof
def test_who_migrates_reads_by_the_new_names_at_once(first):
    known = renames.recent_renames("default")
    assert renames.recent_renames("default") is known
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert ("default", "") not in renames._RECENT


@pytest.mark.proof
def test_columns_that_were_added_to_a_table_come_with_the_time(first):
    today()
    added = added_columns(connection)
    assert set(added["drifting_late"]) == {
        "constant", "database", "computed", "called", "plain", "nothing", "blank", "store_id",
    }  # fmt: skip
    (at,) = set(added["drifting_late"].values())
    recorded = MigrationRecorder(connection).applied_migrations()
    assert at == recorded["drifting", "0005_more_columns"].applied
    assert not added.get("drifting_item")  # its columns were there, or renamed
