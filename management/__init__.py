"""The Django project that ``manage.py`` drives."""
