from django.db import migrations, models

from auditrepr.utils.concurrent_index import AddIndexConcurrently


class Migration(migrations.Migration):
    # There may be a failure for each event of the log.
    atomic = False

    dependencies = [
        ('auditrepr', '0002_findings'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='reprfailure',
            index=models.Index(fields=['last_failed_at'], name='auditrepr_failure_recent'),
        ),
    ]
