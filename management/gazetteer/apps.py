from django.apps import AppConfig


class GazetteerConfig(AppConfig):
    name = "management.gazetteer"
    default_auto_field = "django.db.models.BigAutoField"
