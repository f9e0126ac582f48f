import pytest
from django.apps import apps

import auditrepr
from auditrepr.exceptions import KeyExcluded, OwnTable, UnknownColumn, UnknownModel
from auditrepr.tracking import tracked_tables
from auditrepr.tracking.decorator import MARKED, Declaration, chosen_repr
from auditrepr.utils.table_names import log_name, model_for_table, split_name
from tests.app.models import Author
from tests.app.tracked import Ledger, Letter, Parcel, Premises, Restaurant


def excluded(using="default"):
    return {table.name: set(table.excluded) for table in tracked_tables(using)}


def track_by_setting(settings, models=(), exclude=()):
    settings.AUDITREPR = {"MODELS": list(models), "EXCLUDE": dict(exclude)}


class Router:
    """Keeps everything but premises out of "other"."""

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db != "other" or model_name == "premises"


def test_a_tracked_model_brings_its_automatic_many_to_many_tables():
    assert {"app_author", "app_book", "app_book_tags", "app_tag"} <= excluded().keys()


def test_a_test_that_takes_auditrepr_out_of_the_installed_apps_is_not_disturbed(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "auditrepr"]
    settings.AUDITREPR = {"MODELS": ["*"]}
    assert "app_author" in excluded()
    assert not {name for name in excluded() if name.startswith("auditrepr_")}


def test_tables_come_in_the_order_of_their_names():
    names = [table.name for table in tracked_tables("default")]
    assert names == sorted(names)


def test_a_decorated_abstract_model_stands_for_all_that_inherit_from_it():
    assert {"app_letter", "app_postcard"} <= excluded().keys()


def test_an_abstract_models_exclusion_holds_where_the_field_is_and_only_there():
    assert (excluded()["app_letter"], excluded()["app_postcard"]) == ({"note"}, set())


def test_a_decorated_proxy_means_its_concrete_model():
    (table,) = (table for table in tracked_tables("default") if table.name == "app_parcel")
    assert table.model is Parcel


def test_a_child_brings_the_table_of_its_parent_as_a_table_of_its_own():
    tables = {table.name: table for table in tracked_tables("default")}
    assert tables["app_restaurant"].model is Restaurant
    assert tables["app_premises"].model is Premises


def test_a_field_that_the_parent_has_is_left_out_of_the_parents_table():
    assert excluded()["app_premises"] == {"secret"}
    assert excluded()["app_restaurant"] == set()


def test_an_excluded_many_to_many_field_leaves_its_table_out():
    assert "app_premises_shown" in excluded()
    assert "app_premises_hidden" not in excluded()


def test_generated_columns_that_read_an_excluded_one_are_left_out_through_any_chain(settings):
    track_by_setting(settings, ["app.Account"], {"app.Account": ["number"]})
    assert excluded()["app_account"] == {"number", "numbered", "shouted", "whispered"}


def test_models_that_share_a_table_share_its_exclusions_and_the_managed_one_speaks(settings):
    track_by_setting(settings, ["app.LegacyLedger", "app.Ledger"], {"app.LegacyLedger": ["code"]})
    (table,) = (table for table in tracked_tables("default") if table.name == "Ledger Order")
    assert table.model is Ledger
    assert table.excluded == {"PIN"}


def test_an_exclusion_by_an_untracked_model_of_the_same_table_holds(settings):
    track_by_setting(settings, ["app.Ledger"], {"app.LegacyLedger": ["code"]})
    assert excluded()["Ledger Order"] == {"PIN"}


def test_an_unmanaged_model_is_tracked_like_any_other(settings):
    track_by_setting(settings, ["app.Account"])
    assert "app_account" in excluded()


def test_a_model_that_is_swapped_out_has_no_table_to_track(settings):
    track_by_setting(settings, ["app.*"])
    assert "app_swappable" in excluded()
    settings.TESTS_SWAPPED = "app.Author"
    apps.clear_cache()
    try:
        assert "app_swappable" not in excluded()
    finally:
        del settings.TESTS_SWAPPED
        apps.clear_cache()


def test_a_name_in_the_settings_matches_in_any_case_of_the_model(settings):
    track_by_setting(settings, ["auth.user"], {"auth.USER": ["password"]})
    assert excluded()["auth_user"] == {"password"}
    assert "auth_user_groups" in excluded()


def test_an_apps_wildcard_means_that_app_alone(settings):
    track_by_setting(settings, ["auth.*"])
    assert {"auth_user", "auth_group", "auth_permission"} <= excluded().keys()
    assert "django_content_type" not in excluded()


def test_the_wildcard_means_everything_but_what_holds_no_business_objects(settings):
    track_by_setting(settings, ["*"])
    names = excluded().keys()
    assert {"auth_user", "app_account", "Ledger Order"} <= names
    assert not {"django_session", "django_content_type", "django_admin_log"} & names


def test_no_wildcard_ever_audits_the_log_itself(settings):
    track_by_setting(settings, ["*"])
    assert not [name for name in excluded() if name.startswith("auditrepr")]


@pytest.mark.parametrize("name", ["sessions.Session", "admin.LogEntry"])
def test_what_wildcards_pass_over_is_tracked_when_it_is_named(settings, name):
    track_by_setting(settings, [name])
    assert apps.get_model(name)._meta.db_table in excluded()


def test_an_exclusion_by_wildcard_need_not_fit_every_model(settings):
    track_by_setting(settings, ["auth.*"], {"auth.*": ["password"]})
    assert excluded()["auth_user"] == {"password"}
    assert excluded()["auth_group"] == set()


def test_a_foreign_key_can_be_left_out_by_its_column_too(settings):
    track_by_setting(settings, exclude={"app.Book": ["author_id"]})
    assert excluded()["app_book"] == {"author_id", "secret"}


@pytest.mark.parametrize("name", ["app.Nobody", "nobody.*", "app", "", ".", "*.*", "*.Author"])
def test_a_name_that_matches_nothing_is_an_error(settings, name):
    track_by_setting(settings, [name])
    with pytest.raises(UnknownModel, match="MODELS"):
        tracked_tables("default")


def test_an_exclusion_for_a_model_that_does_not_exist_is_an_error(settings):
    track_by_setting(settings, exclude={"app.Nobody": ["x"]})
    with pytest.raises(UnknownModel, match="EXCLUDE"):
        tracked_tables("default")


@pytest.mark.parametrize("name", ["nothing", "books"])
def test_leaving_out_what_is_no_field_with_a_column_is_an_error(settings, name):
    track_by_setting(settings, exclude={"app.Author": [name]})
    with pytest.raises(UnknownColumn, match=name):
        tracked_tables("default")


def test_a_wildcard_exclusion_that_fits_no_model_is_an_error(settings):
    track_by_setting(settings, exclude={"auth.*": ["nothing"]})
    with pytest.raises(UnknownColumn, match="nothing"):
        tracked_tables("default")


@pytest.mark.parametrize(
    ("model", "name"),
    [("app.Author", "id"), ("app.Restaurant", "premises_ptr"), ("app.Restaurant", "id")],
)
def test_no_part_of_a_key_can_be_left_out_not_even_a_parents(settings, model, name):
    track_by_setting(settings, exclude={model: [name]})
    with pytest.raises(KeyExcluded):
        tracked_tables("default")


@pytest.mark.parametrize("name", ["auditrepr.AuditLog", "auditrepr.*", "app.ReadableLog"])
def test_naming_one_of_the_logs_own_tables_is_an_error(settings, name):
    track_by_setting(settings, [name])
    with pytest.raises(OwnTable):
        tracked_tables("default")


def test_only_what_the_router_lets_into_a_database_is_tracked_there(settings):
    settings.DATABASE_ROUTERS = [Router()]
    assert list(excluded("other")) == ["app_premises"]
    assert "app_author" in excluded("default")


def test_a_bare_string_to_leave_out_is_refused():
    with pytest.raises(TypeError, match=r'exclude=\["pin"\]'):
        auditrepr.track(exclude="pin")


def test_what_is_no_model_cannot_be_decorated():
    with pytest.raises(TypeError, match="model classes"):
        auditrepr.track("app.Author")


@pytest.mark.parametrize(
    ("db_table", "parts", "name"),
    [
        ("order", (None, "order"), "order"),
        ('"Order"', (None, "Order"), "Order"),
        ('shop"."order', ("shop", "order"), "shop.order"),
        ('"shop"."order"', ("shop", "order"), "shop.order"),
    ],
)
def test_a_table_is_named_with_its_schema_if_it_has_one(db_table, parts, name):
    assert split_name(db_table) == parts
    assert log_name(db_table) == name


def test_a_tables_model_is_the_concrete_managed_one():
    assert model_for_table("app_parcel") is Parcel
    assert model_for_table("Ledger Order") is Ledger
    assert model_for_table("app_author") is Author
    assert model_for_table("nobodys") is None


def test_the_key_of_a_child_is_the_link_to_its_parent():
    tables = {table.name: table for table in tracked_tables("default")}
    assert tables["app_restaurant"].key_columns == ("premises_ptr_id",)
    assert tables["app_letter"].key_columns == (Letter._meta.pk.column,)


def test_a_bare_string_for_former_tables_is_refused():
    with pytest.raises(TypeError, match=r'former_tables=\["old"\]'):
        auditrepr.track(former_tables="old")


def test_a_decorated_model_can_bring_what_takes_the_place_of_str(monkeypatch):
    monkeypatch.setitem(
        MARKED, Author, Declaration()
    )  # what comes in its place goes after the test
    auditrepr.track(repr="name")(Author)
    assert chosen_repr(Author) == "name"


# --- what is left out ---------------------------------------------------------------------------


def test_a_wildcard_can_leave_models_out(settings):
    settings.AUDITREPR = {"MODELS": ["auth.*", "-auth.Permission"]}
    names = {table.name for table in tracked_tables("default")}
    assert "auth_permission" not in names
    assert {"auth_group", "auth_user", "auth_group_permissions"} <= names


def test_what_is_left_out_takes_its_many_to_many_tables_along(settings):
    settings.AUDITREPR = {"MODELS": ["*", "-auth.Group"]}
    names = {table.name for table in tracked_tables("default")}
    assert not {"auth_group", "auth_group_permissions"} & names
    assert "auth_user_groups" in names  # it is the user's


def test_a_many_to_many_table_can_be_left_out_by_itself(settings):
    settings.AUDITREPR = {"MODELS": ["auth.*", "-auth.User_groups"]}
    names = {table.name for table in tracked_tables("default")}
    assert "auth_user" in names
    assert "auth_user_groups" not in names


def test_a_whole_app_can_be_left_out(settings):
    settings.AUDITREPR = {"MODELS": ["*", "-auth.*"]}
    assert not [t for t in tracked_tables("default") if t.name.startswith("auth_")]


def test_leaving_out_takes_precedence_whatever_else_names_the_model(settings):
    settings.AUDITREPR = {"MODELS": ["-app.Author", "app.author"]}
    assert "app_author" not in {table.name for table in tracked_tables("default")}


@pytest.mark.parametrize("pattern", ["-app.Nobody", "-nowhere.*", "-", "-app", "app.-Author"])
def test_what_is_left_out_has_to_be_there(settings, pattern):
    settings.AUDITREPR = {"MODELS": ["*", pattern]}
    with pytest.raises(UnknownModel, match="MODELS"):
        tracked_tables("default")
