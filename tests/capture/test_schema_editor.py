"""Tests schema changes on audited tables: they work, and recording follows the columns."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, migrations, models
from django.db.migrations.state import ProjectState

from auditrepr import capture
from auditrepr.capture import schema_editor
from auditrepr.models import AuditLog, Coverage
from auditrepr.vendors import get_vendor
from auditrepr.vendors.capture_types import Capture
from tests import restoring

pytestmark = pytest.mark.django_db(transaction=True)

APP = "changing"
PLACE = "changing_place"


class Project:
    """An app whose migrations are made up by the test and applied as Django applies its own."""

    def __init__(self, state: ProjectState | None = None) -> None:
        self.state = state.clone() if state else ProjectState()

    def migrate(self, *operations: Any, atomic: bool = True, app: str = APP) -> None:
        migration = migrations.Migration("0001_made_up", app)
        migration.operations, migration.atomic = list(operations), atomic
        with connection.schema_editor(atomic=atomic) as editor:
            self.state = migration.apply(self.state, editor)

    def model(self, name: str) -> Any:
        return self.state.apps.get_model(APP, name)


def audit(table: str, *excluded: str) -> None:
    vendor = get_vendor("default")
    shape = vendor.shapes([table])[table]
    made_from = Capture(table, table, shape, shape.key_columns, frozenset(excluded))
    with connection.cursor() as cursor:
        for sql in [*vendor.support_sql(), *vendor.install_sql(made_from)]:
            cursor.execute(sql)


@pytest.fixture
def project() -> Project:
    """Places and what is in them; the tables are audited, the codes and secrets are not.

    No other table is: on SQLite each change would take the triggers of all of them away for once.
    """
    restoring.prepare("changing", _make_project)
    return Project(PREPARED[0])


PREPARED: list[ProjectState] = []


def _make_project() -> None:
    capture.remove("default")
    project = Project()
    key = ("id", models.BigAutoField(primary_key=True))
    project.migrate(
        migrations.CreateModel("Label", [key, ("text", models.CharField(max_length=20))]),
        migrations.CreateModel(
            "Place",
            [
                key,
                ("name", models.CharField(max_length=20)),
                ("secret", models.CharField(max_length=20, default="hidden")),
                ("size", models.IntegerField(null=True)),
                ("labels", models.ManyToManyField(f"{APP}.Label")),
            ],
        ),
        migrations.CreateModel(
            "Thing", [key, ("place", models.ForeignKey(f"{APP}.Place", models.CASCADE))]
        ),
    )
    audit(PLACE, "secret")
    audit("changing_place_labels")
    audit("changing_thing")
    project.model("Place").objects.create(name="old")
    AuditLog.objects.all().delete()
    PREPARED.append(project.state)


def write(model: str = "Place", /, **values: Any) -> migrations.RunPython:
    """A data migration between two changes of the schema."""

    def run(apps: Any, editor: Any) -> None:
        apps.get_model(APP, model).objects.using(editor.connection.alias).create(**values)

    return migrations.RunPython(run)


def rows(table: str = PLACE) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in event.row_data.items() if key != "id"}
        for event in AuditLog.objects.filter(table_name=table).order_by("id")
    ]


INTEGER, TEXT = models.IntegerField(null=True), models.CharField(max_length=30, default="x")
NAMED = models.UniqueConstraint(fields=["name"], name="one_name")
SIZED = models.CheckConstraint(condition=models.Q(size__gt=0), name="has_size")
INDEX = models.Index(fields=["name"], name="by_name")
PLAIN = {"name": "new", "size": None}

CHANGES: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any]]] = {
    "add a field": (
        [migrations.AddField("Place", "rank", models.IntegerField(default=3))],
        {"rank": 7},
        PLAIN | {"rank": 7},
    ),
    "add a nullable field": (
        [migrations.AddField("Place", "rank", INTEGER)],
        {"rank": 7},
        PLAIN | {"rank": 7},
    ),
    "remove a field": ([migrations.RemoveField("Place", "size")], {}, {"name": "new"}),
    "remove an excluded field": ([migrations.RemoveField("Place", "secret")], {}, PLAIN),
    "rename a field": (
        [migrations.RenameField("Place", "size", "extent")],
        {},
        {"name": "new", "extent": None},
    ),
    "rename an excluded field": (
        [migrations.RenameField("Place", "secret", "mystery")],
        {"mystery": "hidden"},
        PLAIN,
    ),
    "rename an excluded field twice, another into its name": (
        [
            migrations.RenameField("Place", "secret", "mystery"),
            migrations.RenameField("Place", "size", "secret"),
            migrations.RenameField("Place", "mystery", "riddle"),
        ],
        {"riddle": "hidden", "secret": 5},
        {"name": "new", "secret": 5},
    ),
    "change a type": (
        [migrations.AlterField("Place", "size", models.TextField(null=True))],
        {"size": "big"},
        PLAIN | {"size": "big"},
    ),
    "change a column's name": (
        [migrations.AlterField("Place", "size", models.IntegerField(null=True, db_column="s"))],
        {},
        {"name": "new", "s": None},
    ),
    "add a unique constraint": ([migrations.AddConstraint("Place", NAMED)], {}, PLAIN),
    "add and remove a check": (
        [
            migrations.AddConstraint("Place", SIZED),
            migrations.RemoveConstraint("Place", "has_size"),
        ],
        {},
        PLAIN,
    ),
    "unique together": (
        [migrations.AlterUniqueTogether("Place", {("name", "size")})],
        {},
        PLAIN,
    ),
    "add, rename and remove an index": (
        [
            migrations.AddIndex("Place", INDEX),
            migrations.RenameIndex("Place", new_name="by_that", old_name="by_name"),
            migrations.RemoveIndex("Place", "by_that"),
        ],
        {},
        PLAIN,
    ),
    "change the key's type": (
        [migrations.AlterField("Place", "id", models.AutoField(primary_key=True))],
        {},
        PLAIN,
    ),
    "raw SQL": (
        [migrations.RunSQL(f"-- more\nALTER TABLE {PLACE} ADD COLUMN extra integer DEFAULT 4")],
        {},
        PLAIN | {"extra": 4},
    ),
    "raw SQL renames a column": (
        [
            migrations.RunSQL(
                f"ALTER TABLE {PLACE} RENAME COLUMN size TO extent",
                state_operations=[migrations.RenameField("Place", "size", "extent")],
            )
        ],
        {},
        {"name": "new", "extent": None},
    ),
}


@pytest.mark.proof
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "not atomic"])
@pytest.mark.parametrize(("operations", "values", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_write_right_after_a_change_is_logged_with_the_columns_there_are(
    project: Project, operations: Any, values: Any, expected: Any, atomic: bool
):
    project.migrate(
        *operations,
        write(name="new", **values),
        migrations.AddField("Place", "later", INTEGER),
        write(name="last", **(values | {"later": 1})),
        atomic=atomic,
    )
    assert rows() == [expected, expected | {"name": "last", "later": 1}]


@pytest.mark.parametrize("default", ["default", "db_default"])
def test_nulls_that_a_change_fills_are_logged(project: Project, default: str):
    size = models.IntegerField(**{default: 5})
    project.migrate(migrations.AlterField("Place", "size", size), write(name="new"))
    assert rows() == [{"name": "old", "size": 5}, {"name": "new", "size": 5}]
    assert AuditLog.objects.earliest("id").changed_from == {"size": None}


@pytest.mark.proof
def test_a_renamed_model_and_its_many_to_many_table_log_under_their_new_names(project: Project):
    def label(apps: Any, editor: Any) -> None:
        spot = apps.get_model(APP, "Spot").objects.create(name="new")
        spot.labels.add(apps.get_model(APP, "Label").objects.create(text="x"))
        apps.get_model(APP, "Thing").objects.create(place=spot)

    project.migrate(migrations.RenameModel("Place", "Spot"), migrations.RunPython(label))
    assert rows("changing_spot") == [{"name": "new", "size": None}]
    assert [sorted(row) for row in rows("changing_spot_labels")] == [["label_id", "spot_id"]]
    assert [sorted(row) for row in rows("changing_thing")] == [["place_id"]]
    assert rows() == rows("changing_place_labels") == []
    assert not {PLACE, "changing_place_labels"} & get_vendor("default").installed().keys()


@pytest.mark.proof
def test_a_renamed_model_without_any_triggers_gets_none(project: Project):
    with connection.cursor() as cursor:
        for name in get_vendor("default").installed():
            for sql in get_vendor("default").remove_sql(name):
                cursor.execute(sql)
    try:
        project.migrate(migrations.RenameModel("Place", "Spot"))
        project.model("Spot").objects.create(name="unlogged")
        assert get_vendor("default").installed() == {}
    finally:
        capture.install("default")


@pytest.mark.proof
def test_a_table_with_a_new_name_keeps_its_excluded_columns(project: Project):
    project.migrate(
        migrations.AlterModelTable("Place", "Odd Name"),
        write(name="new"),
        migrations.AddField("Place", "rank", INTEGER),
        write(name="new", rank=1),
    )
    assert rows("Odd Name") == [PLAIN, PLAIN | {"rank": 1}]


@pytest.mark.proof
def test_a_deleted_table_leaves_no_triggers(project: Project):
    project.migrate(migrations.DeleteModel("Thing"), write(name="new"))
    assert rows() == [PLAIN]
    assert "changing_thing" not in get_vendor("default").installed()


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AlterField(
            "Place", "name", models.CharField(max_length=20, verbose_name="called", blank=True)
        ),
        pytest.param(
            migrations.AlterField("Place", "name", models.CharField(max_length=20, default="?")),
            marks=pytest.mark.postgresql,  # SQLite's makes the table anew
        ),
        migrations.AlterModelTable("Place", PLACE),
        migrations.AlterModelOptions("Place", {"ordering": ["name"]}),
        pytest.param(
            migrations.AddConstraint(
                "Place",
                models.UniqueConstraint(
                    fields=["name"], deferrable=models.Deferrable.DEFERRED, name="unsupported"
                ),
            ),
            marks=pytest.mark.sqlite,
        ),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_changes_nothing_in_the_database_asks_it_nothing(
    project: Project, operation: Any, django_assert_num_queries: Any
):
    before = project.state.clone()
    operation.state_forwards(APP, project.state)
    with connection.schema_editor(atomic=False) as editor, django_assert_num_queries(0):
        operation.database_forwards(APP, editor, before, project.state)


@pytest.mark.sqlite
def test_a_table_renamed_in_case_alone_is_still_audited(project: Project):
    project.migrate(migrations.AlterModelTable("Place", PLACE.upper()))
    project.model("Place").objects.update(name="new")
    assert [row.row_data["name"] for row in AuditLog.objects.all()] == ["new"]


def test_a_table_without_triggers_gets_none(project: Project):
    project.migrate(migrations.AddField("Label", "more", INTEGER), write("Label", text="x"))
    assert rows("changing_label") == []


def test_writes_by_sql_in_a_migration_are_logged(project: Project):
    project.migrate(
        migrations.AddField("Place", "rank", INTEGER),
        migrations.RunSQL(f"UPDATE {PLACE} SET rank = 1"),
    )
    assert rows() == [{"name": "old", "size": None, "rank": 1}]


@pytest.mark.proof
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "not atomic"])
def test_after_a_change_that_fails_the_table_is_still_audited(project: Project, atomic: bool):
    project.model("Place").objects.create(name="old")
    AuditLog.objects.all().delete()
    with pytest.raises(DatabaseError):
        project.migrate(migrations.AddConstraint("Place", NAMED), atomic=atomic)
    project.model("Place").objects.create(name="new")
    assert rows() == [PLAIN]


@pytest.mark.proof
def test_a_failure_that_a_migration_survives_leaves_the_triggers(project: Project):
    def fail(apps: Any, editor: Any) -> None:
        field = models.IntegerField()
        field.set_attributes_from_name("nowhere")
        with pytest.raises(DatabaseError):
            editor.remove_field(apps.get_model(APP, "Place"), field)

    project.migrate(migrations.RunPython(fail), write(name="new"))
    assert rows() == [PLAIN]


@pytest.fixture
def own() -> Project:
    """The project that the tests run in, as if all of it had come by migrations."""
    project = Project()
    project.state = ProjectState.from_apps(apps)
    # The test before has emptied the tables, which is in the log, too.
    AuditLog.objects.all().delete()
    return project


def tag(label: str) -> migrations.RunPython:
    from tests.app.models import Tag

    return migrations.RunPython(lambda apps, editor: Tag.objects.create(label=label) and None)


@pytest.mark.proof
@pytest.mark.parametrize("name", ["AuditLog", "InstanceRepr", "Coverage"])
def test_a_change_to_auditreprs_own_tables_works(own: Project, name: str):
    own.migrate(
        migrations.AddField(name, "extra", models.IntegerField(default=1, db_default=1)),
        tag("one"),
        migrations.AlterField(name, "extra", models.TextField(default="1", db_default="1")),
        tag("two"),
        migrations.RemoveField(name, "extra"),
        tag("three"),
        app="auditrepr",
    )
    assert [row["label"] for row in rows("app_tag")] == ["one", "two", "three"]


@pytest.mark.proof
def test_without_the_log_the_application_goes_on():
    """``migrate auditrepr zero``, even if the triggers are still there when the log goes."""
    from tests.app.models import Tag

    with connection.schema_editor() as editor:
        editor.delete_model(AuditLog)
    try:
        Tag.objects.create(label="unlogged")
        assert get_vendor("default").installed() == {}
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(AuditLog)
        capture.install("default")


@pytest.mark.proof
def test_while_the_table_of_coverage_is_gone_a_changed_table_is_still_audited(project: Project):
    """Between two steps of ``migrate auditrepr zero``."""
    with connection.schema_editor() as editor:
        editor.delete_model(Coverage)
    try:
        project.migrate(migrations.AddField("Place", "rank", INTEGER), write(name="new", rank=7))
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Coverage)
        capture.install("default")
    assert rows() == [PLAIN | {"rank": 7}]


@pytest.mark.proof
def test_an_excluded_column_of_a_tracked_model_stays_out_under_any_name(own: Project):
    from tests.app.models import Book

    def book(apps: Any, editor: Any) -> None:
        apps.get_model("app", "Book").objects.create(title="new", riddle="hidden")

    there = own.state.clone()
    own.migrate(
        migrations.RenameField("Book", "secret", "riddle"), migrations.RunPython(book), app="app"
    )
    own.migrate(migrations.RenameField("Book", "riddle", "secret"), app="app")
    assert own.state.models["app", "book"] == there.models["app", "book"]
    Book.objects.create(title="newer", secret="hidden")
    assert [(row["title"], "hidden" in row.values()) for row in rows("app_book")] == [
        ("new", False),
        ("newer", False),
    ]


@pytest.mark.proof
def test_afterwards_nothing_is_left_for_migrate_to_do(own: Project):
    own.migrate(migrations.AddField("Tag", "extra", INTEGER), app="app")
    own.migrate(migrations.RemoveField("Tag", "extra"), app="app")
    # A model of columns that this server does not know has no table.
    there = [one for one in capture.inspect("default") if one.status != capture.Status.ABSENT]
    assert {state.status for state in there} == {capture.Status.OK}


@pytest.mark.proof
def test_collected_sql_is_not_carried_out(project: Project, django_assert_num_queries: Any):
    with connection.schema_editor(collect_sql=True) as editor:
        place = project.model("Place")
        field = models.IntegerField(null=True)
        field.set_attributes_from_name("rank")
        editor.add_field(place, field)
    project.model("Place").objects.create(name="new")
    assert rows() == [PLAIN]
    assert not any("TRIGGER" in sql for sql in editor.collected_sql)


def test_connecting_twice_changes_nothing():
    before = connection.SchemaEditorClass
    schema_editor.connect()
    assert connection.SchemaEditorClass is before
    assert issubclass(before, schema_editor.AuditedSchemaEditor)
