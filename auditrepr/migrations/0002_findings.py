from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auditrepr', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='KnownFinding',
            fields=[
                ('key', models.TextField(primary_key=True, serialize=False)),
                ('topic', models.TextField()),
                ('first_seen_at', models.DateTimeField()),
                ('reported_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'finding',
                'verbose_name_plural': 'findings',
            },
        ),
        migrations.AddField(
            model_name='backfillrun',
            name='building',
            field=models.PositiveIntegerField(db_default=0, default=0, help_text='Size of the batch that the run is building. If the run is killed, the next one starts with half of it.'),
        ),
    ]
