from django.db import migrations, models

from auditrepr.utils.concurrent_index import AddIndexConcurrently


class Migration(migrations.Migration):
    # There may be a failure for each event of the log.
    atomic = False

    dependencies = [
        ('auditrepr', '0002_recent_failures'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='reprfailure',
            index=models.Index(condition=models.Q(('next_attempt_at__isnull', False)), fields=['audit_log'], name='auditrepr_failure_failing'),
        ),
        AddIndexConcurrently(
            model_name='reprfailure',
            index=models.Index(condition=models.Q(('next_attempt_at__isnull', True)), fields=['audit_log'], name='auditrepr_failure_final'),
        ),
    ]
