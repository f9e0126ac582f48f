from django.apps import AppConfig

import auditrepr


class GazetteerConfig(AppConfig):
    name = "management.gazetteer"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib.auth.models import User

        auditrepr.track(exclude=["password", "last_login"])(User)
