"""The Django project that ``manage.py`` uses."""
