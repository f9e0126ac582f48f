"""The project for a WSGI server: ``gunicorn management.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "management.settings")

application = get_wsgi_application()
