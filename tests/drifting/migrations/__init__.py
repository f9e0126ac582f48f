from django.db import models

ID = {"auto_created": True, "serialize": False, "verbose_name": "ID"}
KEY = ("id", models.BigAutoField(primary_key=True, **ID))
