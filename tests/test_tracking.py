from auditrepr.tracking import tracked_tables


def test_a_tracked_model_brings_its_automatic_many_to_many_tables():
    names = [table.name for table in tracked_tables("default")]
    assert names == ["app_author", "app_book", "app_book_tags", "app_tag"]
