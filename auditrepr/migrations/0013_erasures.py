
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auditrepr', '0012_seals'),
    ]

    operations = [
        migrations.CreateModel(
            name='Erasure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.CharField(choices=[('object', 'object'), ('actor', 'actor')], max_length=6, verbose_name='erased')),
                ('table_name', models.TextField(blank=True, default='', verbose_name='table')),
                ('columns', models.TextField(blank=True, default='', help_text='Those that were named; empty: all text.', verbose_name='columns')),
                ('by', models.TextField(help_text='Who started it: user and host of the process, and database role.', verbose_name='by')),
                ('secret', models.BinaryField(help_text='While it is unfinished: what the replacements of keys depend on, and by what it knows itself again.', null=True)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='started at')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='ended at')),
                ('events', models.PositiveBigIntegerField(default=0, help_text='Events whose values or keys were erased.', verbose_name='audit events')),
                ('contexts', models.PositiveBigIntegerField(default=0, verbose_name='contexts')),
                ('representations', models.PositiveBigIntegerField(default=0, verbose_name='representations')),
                ('failures', models.PositiveBigIntegerField(default=0, verbose_name='failures')),
                ('others', models.PositiveBigIntegerField(default=0, help_text='Runs, findings and imports whose texts were erased.', verbose_name='others')),
            ],
            options={
                'verbose_name': 'erasure',
                'verbose_name_plural': 'erasures',
            },
        ),
        migrations.AlterField(
            model_name='sealentry',
            name='amends',
            field=models.BigIntegerField(help_text='If events were pruned or erased: number of the entry that had sealed them.', null=True),
        ),
        migrations.AlterField(
            model_name='sealentry',
            name='content',
            field=models.BinaryField(help_text='SHA-256 of the digests of the rows, or of what was pruned or erased. Null: all that was left of the range was pruned.', null=True),
        ),
        migrations.AlterField(
            model_name='sealentry',
            name='events',
            field=models.BigIntegerField(help_text='Number of events that were sealed, pruned, or erased.'),
        ),
        migrations.AlterField(
            model_name='sealentry',
            name='kind',
            field=models.CharField(choices=[('sealed', 'sealed'), ('imported', 'imported'), ('pruned', 'pruned'), ('erased', 'erased')], max_length=8),
        ),
        migrations.AlterField(
            model_name='sealentry',
            name='touched',
            field=models.BinaryField(help_text='IDs and former digests of the rows that were pruned; if erased, the new ones, too.', null=True),
        ),
    ]
