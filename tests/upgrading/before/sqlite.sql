CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
INSERT INTO django_migrations (id, app, name, applied) VALUES (1, 'auditrepr', '0001_initial', '2025-11-29 03:54:15.316624');
INSERT INTO django_migrations (id, app, name, applied) VALUES (2, 'library', '0001_initial', '2025-11-29 03:54:15.332209');
CREATE TABLE "auditrepr_auditlog" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "table_name" text NOT NULL, "object_id" text NULL, "previous_object_id" text NULL, "action" varchar(1) NOT NULL, "row_data" text NULL CHECK ((JSON_VALID("row_data") OR "row_data" IS NULL)), "changed_from" text NULL CHECK ((JSON_VALID("changed_from") OR "changed_from" IS NULL)), "context" text NULL CHECK ((JSON_VALID("context") OR "context" IS NULL)), "actor" text GENERATED ALWAYS AS (CASE WHEN "context" IS NOT NULL THEN SUBSTR((CASE WHEN JSON_TYPE("context", '$."user"') IN ('true','false','null') THEN JSON_TYPE("context", '$."user"') ELSE JSON_EXTRACT("context", '$."user"') END), 1, 200) ELSE NULL END) STORED, "writer" text NULL, "transaction_id" bigint NULL, "snapshot" text NULL, "statement_at" datetime NULL, "occurred_at" datetime DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')) NOT NULL);
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (1, 'library_author', '1', NULL, 'I', '{"id":1,"name":"Ann","motto":null}', NULL, '{"user": "ann", "reason": "import"}', NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.387000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (2, 'library_author', '2', NULL, 'I', '{"id":2,"name":"Bea","motto":null}', NULL, '{"user": "ann", "reason": "import"}', NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.394000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (3, 'library_tag', '1', NULL, 'I', '{"id":1,"label":"poems"}', NULL, '{"user": "ann", "reason": "import"}', NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.403000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (4, 'library_tag', '2', NULL, 'I', '{"id":2,"label":"prose"}', NULL, '{"user": "ann", "reason": "import"}', NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.408000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (5, 'library_book', '1', NULL, 'I', '{"id":1,"title":"First","author_id":1,"price":12.5}', NULL, '{"user": "ann", "reason": "import"}', NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.412000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (6, 'library_book_tags', '1', NULL, 'I', '{"id":1,"book_id":1,"tag_id":1}', NULL, '{"user": "ann", "reason": "import"}', NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.418000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (7, 'library_book_tags', '2', NULL, 'I', '{"id":2,"book_id":1,"tag_id":2}', NULL, '{"user": "ann", "reason": "import"}', NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.418000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (8, 'library_author', '200', '2', 'U', '{"id":200,"name":"Bea","motto":null}', '{"id":2}', NULL, NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.434000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (9, 'library_author', '201', NULL, 'I', '{"id":201,"name":"?","motto":null}', NULL, NULL, NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.444000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (10, 'library_author', '1', NULL, 'U', '{"id":1,"name":"Anna","motto":null}', '{"name":"Ann"}', NULL, NULL, NULL, NULL, NULL, '2025-11-29 03:54:15.459000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (11, 'library_book_tags', '2', NULL, 'D', '{"id":2,"book_id":1,"tag_id":2}', NULL, NULL, NULL, NULL, NULL, NULL, '2025-11-29 03:54:16.020000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (12, 'library_tag', '2', NULL, 'D', '{"id":2,"label":"prose"}', NULL, NULL, NULL, NULL, NULL, NULL, '2025-11-29 03:54:16.020000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (13, 'library_book', '1', NULL, 'U', '{"id":1,"title":"Second","author_id":1,"price":12.5}', '{"title":"First"}', NULL, NULL, NULL, NULL, NULL, '2025-11-29 03:54:16.025000');
INSERT INTO auditrepr_auditlog (id, table_name, object_id, previous_object_id, action, row_data, changed_from, context, writer, transaction_id, snapshot, statement_at, occurred_at) VALUES (14, 'library_author', '200', NULL, 'D', '{"id":200,"name":"Bea","motto":null}', NULL, NULL, NULL, NULL, NULL, NULL, '2025-11-29 03:54:16.030000');
CREATE TABLE "auditrepr_backfillrun" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "command" text NOT NULL, "started_at" datetime NOT NULL, "ended_at" datetime NULL, "host" text NOT NULL, "pid" integer unsigned NOT NULL CHECK ("pid" >= 0), "rows" bigint unsigned NOT NULL CHECK ("rows" >= 0), "failures" bigint unsigned NOT NULL CHECK ("failures" >= 0), "batches" integer unsigned NOT NULL CHECK ("batches" >= 0), "stop_reason" varchar(12) NOT NULL, "error" text NOT NULL, "idle_runs" integer unsigned NOT NULL CHECK ("idle_runs" >= 0), "skipped_runs" integer unsigned NOT NULL CHECK ("skipped_runs" >= 0));
INSERT INTO auditrepr_backfillrun (id, command, started_at, ended_at, host, pid, rows, failures, batches, stop_reason, error, idle_runs, skipped_runs) VALUES (1, 'backfill_reprs', '2025-11-29 03:54:15.694107', '2025-11-29 03:54:15.817657', 'library', 14082, 9, 1, 1, 'caught-up', '', 3, 0);
CREATE TABLE "auditrepr_checkpoint" ("id" smallint unsigned NOT NULL PRIMARY KEY CHECK ("id" >= 0), "settled_id" bigint NOT NULL, "candidate_id" bigint NULL, "candidate_evidence" text NULL CHECK ((JSON_VALID("candidate_evidence") OR "candidate_evidence" IS NULL)), "candidate_at" datetime NULL, "swept_id" bigint NOT NULL);
INSERT INTO auditrepr_checkpoint (id, settled_id, candidate_id, candidate_evidence, candidate_at, swept_id) VALUES (1, 10, NULL, NULL, NULL, 0);
CREATE TABLE "auditrepr_coverage" ("table_name" text NOT NULL PRIMARY KEY, "since_event" bigint NULL, "transaction_id" bigint NULL, "reason" varchar(10) NOT NULL, "pruned_id" bigint NOT NULL, "pruned_transaction_id" bigint NULL, "columns" text NOT NULL CHECK ((JSON_VALID("columns") OR "columns" IS NULL)), "triggers" text NOT NULL, "recorded_at" datetime DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')) NOT NULL);
INSERT INTO auditrepr_coverage (table_name, since_event, transaction_id, reason, pruned_id, pruned_transaction_id, columns, triggers, recorded_at) VALUES ('library_author', 0, NULL, 'installed', 0, NULL, '{"id": null, "name": null, "motto": null}', 'sqlite:sealed', '2025-11-29 03:54:15.360');
INSERT INTO auditrepr_coverage (table_name, since_event, transaction_id, reason, pruned_id, pruned_transaction_id, columns, triggers, recorded_at) VALUES ('library_book', 0, NULL, 'installed', 0, NULL, '{"id": null, "title": null, "author_id": null, "price": null}', 'sqlite:sealed', '2025-11-29 03:54:15.360');
INSERT INTO auditrepr_coverage (table_name, since_event, transaction_id, reason, pruned_id, pruned_transaction_id, columns, triggers, recorded_at) VALUES ('library_book_tags', 0, NULL, 'installed', 0, NULL, '{"id": null, "book_id": null, "tag_id": null}', 'sqlite:sealed', '2025-11-29 03:54:15.360');
INSERT INTO auditrepr_coverage (table_name, since_event, transaction_id, reason, pruned_id, pruned_transaction_id, columns, triggers, recorded_at) VALUES ('library_tag', 10, NULL, 'disabled', 0, NULL, '{"id": null, "label": null}', 'sqlite:sealed', '2025-11-29 03:54:15.525');
CREATE TABLE "auditrepr_lease" ("name" text NOT NULL PRIMARY KEY, "token" char(32) NULL, "holder" text NULL CHECK ((JSON_VALID("holder") OR "holder" IS NULL)), "acquired_at" datetime NULL, "expires_at" datetime NULL);
INSERT INTO auditrepr_lease (name, token, holder, acquired_at, expires_at) VALUES ('backfill', NULL, NULL, NULL, NULL);
CREATE TABLE "auditrepr_rebuildcursor" ("id" smallint unsigned NOT NULL PRIMARY KEY CHECK ("id" >= 0), "selection" text NOT NULL CHECK ((JSON_VALID("selection") OR "selection" IS NULL)), "start_id" bigint NOT NULL, "reached_id" bigint NOT NULL, "top_id" bigint NOT NULL, "started_at" datetime DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')) NOT NULL);
INSERT INTO auditrepr_rebuildcursor (id, selection, start_id, reached_id, top_id, started_at) VALUES (1, '{"table_name": "", "since": "", "mixed": false}', 0, 0, 10, '2025-11-29 03:54:15.990');
CREATE TABLE "auditrepr_instancerepr" ("audit_log_id" bigint NOT NULL PRIMARY KEY, "instance_repr" text NOT NULL, "fidelity" varchar(1) NOT NULL, "reason" text NOT NULL);
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (1, 'Ann', 'E', '');
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (2, 'Bea', 'E', '');
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (3, 'poems', 'E', '');
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (4, 'prose', 'E', '');
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (5, 'First by Ann', 'E', '');
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (6, 'Book_tags object (1)', 'E', '');
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (7, 'Book_tags object (2)', 'E', '');
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (8, 'Bea', 'E', '');
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason) VALUES (10, 'Anna', 'E', '');
CREATE TABLE "auditrepr_reprfailure" ("audit_log_id" bigint NOT NULL PRIMARY KEY, "error_class" text NOT NULL, "message" text NOT NULL, "traceback" text NOT NULL, "attempts" integer unsigned NOT NULL CHECK ("attempts" >= 0), "first_failed_at" datetime DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')) NOT NULL, "last_failed_at" datetime DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')) NOT NULL, "next_attempt_at" datetime NULL);
INSERT INTO auditrepr_reprfailure (audit_log_id, error_class, message, traceback, attempts, first_failed_at, last_failed_at, next_attempt_at) VALUES (9, 'ValueError', 'no name', 'Traceback (most recent call last):
  File "/srv/library/auditrepr/representation.py", line 158, in _outcome
    text = _text(subject.instance, batch)
  File "/srv/library/auditrepr/representation.py", line 195, in _text
    text: Any = type(instance).__str__(instance)  # type: ignore[call-arg]  # not str(): it may be lazy
                ~~~~~~~~~~~~~~~~~~~~~~^^^^^^^^^^
  File "/srv/library/tests/upgrading/library/models.py", line 14, in __str__
    raise ValueError("no name")
ValueError: no name
', 1, '2025-11-29 03:54:15.792', '2025-11-29 03:54:15.792', '2025-11-29 03:59:15.792');
CREATE TABLE "library_author" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" text NOT NULL, "motto" text NULL);
INSERT INTO library_author (id, name, motto) VALUES (1, 'Anna', NULL);
INSERT INTO library_author (id, name, motto) VALUES (201, '?', NULL);
CREATE TABLE "library_tag" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "label" text NOT NULL);
INSERT INTO library_tag (id, label) VALUES (1, 'poems');
INSERT INTO library_tag (id, label) VALUES (3, 'unseen');
CREATE TABLE "library_book" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "title" text NOT NULL, "author_id" bigint NOT NULL REFERENCES "library_author" ("id") DEFERRABLE INITIALLY DEFERRED, "price" decimal NULL);
INSERT INTO library_book (id, title, author_id, price) VALUES (1, 'Second', 1, 12.5);
CREATE TABLE "library_book_tags" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "book_id" bigint NOT NULL REFERENCES "library_book" ("id") DEFERRABLE INITIALLY DEFERRED, "tag_id" bigint NOT NULL REFERENCES "library_tag" ("id") DEFERRABLE INITIALLY DEFERRED);
INSERT INTO library_book_tags (id, book_id, tag_id) VALUES (1, 1, 1);
CREATE VIRTUAL TABLE auditrepr_repr_trigrams USING fts5(instance_repr, content='auditrepr_instancerepr', content_rowid='audit_log_id', tokenize='trigram');
INSERT INTO auditrepr_repr_trigrams (auditrepr_repr_trigrams) VALUES ('rebuild');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence (name, seq) VALUES ('django_migrations', 2);
INSERT INTO sqlite_sequence (name, seq) VALUES ('auditrepr_auditlog', 14);
INSERT INTO sqlite_sequence (name, seq) VALUES ('library_author', 201);
INSERT INTO sqlite_sequence (name, seq) VALUES ('library_tag', 3);
INSERT INTO sqlite_sequence (name, seq) VALUES ('library_book', 1);
INSERT INTO sqlite_sequence (name, seq) VALUES ('library_book_tags', 2);
INSERT INTO sqlite_sequence (name, seq) VALUES ('auditrepr_backfillrun', 1);
CREATE INDEX "auditrepr_log_object" ON "auditrepr_auditlog" ("table_name", "object_id", "id");
CREATE INDEX "auditrepr_log_table" ON "auditrepr_auditlog" ("table_name", "id");
CREATE INDEX "auditrepr_log_transaction" ON "auditrepr_auditlog" ("transaction_id") WHERE "transaction_id" IS NOT NULL;
CREATE INDEX "auditrepr_log_actor" ON "auditrepr_auditlog" ("actor", "id") WHERE "actor" IS NOT NULL;
CREATE INDEX "auditrepr_log_rekeyed" ON "auditrepr_auditlog" ("table_name", "previous_object_id", "id") WHERE "previous_object_id" IS NOT NULL;
CREATE INDEX "auditrepr_repr_mixed" ON "auditrepr_instancerepr" ("audit_log_id") WHERE "fidelity" = 'M';
CREATE INDEX "auditrepr_reprfailure_next_attempt_at_1960eea3" ON "auditrepr_reprfailure" ("next_attempt_at");
CREATE INDEX "library_book_author_id_d9a3b67e" ON "library_book" ("author_id");
CREATE UNIQUE INDEX "library_book_tags_book_id_tag_id_c3660ce1_uniq" ON "library_book_tags" ("book_id", "tag_id");
CREATE INDEX "library_book_tags_book_id_7c6729bd" ON "library_book_tags" ("book_id");
CREATE INDEX "library_book_tags_tag_id_ad3c9ecb" ON "library_book_tags" ("tag_id");
CREATE TRIGGER "auditrepr_insert_library_author" AFTER insert ON "library_author" BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_author', strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE typeof(new."id") WHEN 'blob' THEN hex(new."id") WHEN 'real' THEN iif(abs(new."id") < 1e9 AND new."id" = round(new."id" * 1e6) / 1e6, printf('%!.15g', new."id"), replace(printf('%!.20g', new."id"), 'Inf', '9e999')) ELSE CAST(new."id" AS TEXT) END, NULL, 'I', (WITH image (name, value) AS NOT MATERIALIZED (VALUES ('id', new."id"), ('name', new."name"), ('motto', new."motto")) SELECT json_group_object(name, CASE
 WHEN +value >= '' THEN CASE
  WHEN length(CAST(value AS BLOB)) > 10000000
   AND (SELECT sum(length(CAST(value AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(value AS BLOB))
    || ',"head":"' || hex(substr(CAST(value AS BLOB), 1, 1000)) || '"}}')
  WHEN +value >= x'' THEN json('{"$blob":"' || hex(value) || '"}')
  ELSE value || '' END
 WHEN typeof(value) = 'real' THEN json(iif(abs(value) < 1e9 AND value = round(value * 1e6) / 1e6, printf('%!.15g', value), replace(printf('%!.20g', value), 'Inf', '9e999')))
 ELSE value END) FROM image), NULL; /* auditrepr {"fingerprint": "f1b5cd74e9d058bc661652bed598c9980080f6a3ae9b4bf0c1fdffe3d2d33b1a", "excluded": [], "columns": ["id", "name", "motto"]} */ END;
CREATE TRIGGER "auditrepr_update_library_author" AFTER update ON "library_author" WHEN (old."id" IS NOT new."id" COLLATE BINARY OR (old."name" IS NOT new."name" COLLATE BINARY OR old."motto" IS NOT new."motto" COLLATE BINARY)) BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_author', strftime('%Y-%m-%d %H:%M:%f000', 'now'), key, nullif(previous, key), 'U', row_data, changed_from FROM (WITH image (name, before, after) AS NOT MATERIALIZED (VALUES ('id', old."id", new."id"), ('name', old."name", new."name"), ('motto', old."motto", new."motto")) SELECT CASE typeof(new."id") WHEN 'blob' THEN hex(new."id") WHEN 'real' THEN iif(abs(new."id") < 1e9 AND new."id" = round(new."id" * 1e6) / 1e6, printf('%!.15g', new."id"), replace(printf('%!.20g', new."id"), 'Inf', '9e999')) ELSE CAST(new."id" AS TEXT) END AS key, CASE typeof(old."id") WHEN 'blob' THEN hex(old."id") WHEN 'real' THEN iif(abs(old."id") < 1e9 AND old."id" = round(old."id" * 1e6) / 1e6, printf('%!.15g', old."id"), replace(printf('%!.20g', old."id"), 'Inf', '9e999')) ELSE CAST(old."id" AS TEXT) END AS previous, json_group_object(name, CASE
 WHEN +after >= '' THEN CASE
  WHEN length(CAST(after AS BLOB)) > 10000000
   AND (SELECT sum(length(CAST(after AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(after AS BLOB))
    || ',"head":"' || hex(substr(CAST(after AS BLOB), 1, 1000)) || '"}}')
  WHEN +after >= x'' THEN json('{"$blob":"' || hex(after) || '"}')
  ELSE after || '' END
 WHEN typeof(after) = 'real' THEN json(iif(abs(after) < 1e9 AND after = round(after * 1e6) / 1e6, printf('%!.15g', after), replace(printf('%!.20g', after), 'Inf', '9e999')))
 ELSE after END) AS row_data, json_group_object(name, CASE
 WHEN +before >= '' THEN CASE
  WHEN length(CAST(before AS BLOB)) > 10000000
   AND (SELECT sum(length(CAST(before AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(before AS BLOB))
    || ',"head":"' || hex(substr(CAST(before AS BLOB), 1, 1000)) || '"}}')
  WHEN +before >= x'' THEN json('{"$blob":"' || hex(before) || '"}')
  ELSE before || '' END
 WHEN typeof(before) = 'real' THEN json(iif(abs(before) < 1e9 AND before = round(before * 1e6) / 1e6, printf('%!.15g', before), replace(printf('%!.20g', before), 'Inf', '9e999')))
 ELSE before END) FILTER (WHERE +before IS NOT +after COLLATE BINARY) AS changed_from FROM image); /* auditrepr {"fingerprint": "f1b5cd74e9d058bc661652bed598c9980080f6a3ae9b4bf0c1fdffe3d2d33b1a", "excluded": [], "columns": ["id", "name", "motto"]} */ END;
CREATE TRIGGER "auditrepr_delete_library_author" AFTER delete ON "library_author" BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_author', strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE typeof(old."id") WHEN 'blob' THEN hex(old."id") WHEN 'real' THEN iif(abs(old."id") < 1e9 AND old."id" = round(old."id" * 1e6) / 1e6, printf('%!.15g', old."id"), replace(printf('%!.20g', old."id"), 'Inf', '9e999')) ELSE CAST(old."id" AS TEXT) END, NULL, 'D', (WITH image (name, value) AS NOT MATERIALIZED (VALUES ('id', old."id"), ('name', old."name"), ('motto', old."motto")) SELECT json_group_object(name, CASE
 WHEN +value >= '' THEN CASE
  WHEN length(CAST(value AS BLOB)) > 10000000
   AND (SELECT sum(length(CAST(value AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(value AS BLOB))
    || ',"head":"' || hex(substr(CAST(value AS BLOB), 1, 1000)) || '"}}')
  WHEN +value >= x'' THEN json('{"$blob":"' || hex(value) || '"}')
  ELSE value || '' END
 WHEN typeof(value) = 'real' THEN json(iif(abs(value) < 1e9 AND value = round(value * 1e6) / 1e6, printf('%!.15g', value), replace(printf('%!.20g', value), 'Inf', '9e999')))
 ELSE value END) FROM image), NULL; /* auditrepr {"fingerprint": "f1b5cd74e9d058bc661652bed598c9980080f6a3ae9b4bf0c1fdffe3d2d33b1a", "excluded": [], "columns": ["id", "name", "motto"]} */ END;
CREATE TRIGGER "auditrepr_insert_library_book" AFTER insert ON "library_book" BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_book', strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE typeof(new."id") WHEN 'blob' THEN hex(new."id") WHEN 'real' THEN iif(abs(new."id") < 1e9 AND new."id" = round(new."id" * 1e6) / 1e6, printf('%!.15g', new."id"), replace(printf('%!.20g', new."id"), 'Inf', '9e999')) ELSE CAST(new."id" AS TEXT) END, NULL, 'I', (WITH image (name, value) AS NOT MATERIALIZED (VALUES ('id', new."id"), ('title', new."title"), ('author_id', new."author_id"), ('price', new."price")) SELECT json_group_object(name, CASE
 WHEN +value >= '' THEN CASE
  WHEN length(CAST(value AS BLOB)) > 7500000
   AND (SELECT sum(length(CAST(value AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(value AS BLOB))
    || ',"head":"' || hex(substr(CAST(value AS BLOB), 1, 1000)) || '"}}')
  WHEN +value >= x'' THEN json('{"$blob":"' || hex(value) || '"}')
  ELSE value || '' END
 WHEN typeof(value) = 'real' THEN json(iif(abs(value) < 1e9 AND value = round(value * 1e6) / 1e6, printf('%!.15g', value), replace(printf('%!.20g', value), 'Inf', '9e999')))
 ELSE value END) FROM image), NULL; /* auditrepr {"fingerprint": "70c106d625b341f975a83f1f43f565d1f13637c33dbfcfdfa73d9fe93e2b014d", "excluded": [], "columns": ["id", "title", "author_id", "price"]} */ END;
CREATE TRIGGER "auditrepr_update_library_book" AFTER update ON "library_book" WHEN ((old."id" IS NOT new."id" COLLATE BINARY OR old."title" IS NOT new."title" COLLATE BINARY) OR (old."author_id" IS NOT new."author_id" COLLATE BINARY OR old."price" IS NOT new."price" COLLATE BINARY)) BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_book', strftime('%Y-%m-%d %H:%M:%f000', 'now'), key, nullif(previous, key), 'U', row_data, changed_from FROM (WITH image (name, before, after) AS NOT MATERIALIZED (VALUES ('id', old."id", new."id"), ('title', old."title", new."title"), ('author_id', old."author_id", new."author_id"), ('price', old."price", new."price")) SELECT CASE typeof(new."id") WHEN 'blob' THEN hex(new."id") WHEN 'real' THEN iif(abs(new."id") < 1e9 AND new."id" = round(new."id" * 1e6) / 1e6, printf('%!.15g', new."id"), replace(printf('%!.20g', new."id"), 'Inf', '9e999')) ELSE CAST(new."id" AS TEXT) END AS key, CASE typeof(old."id") WHEN 'blob' THEN hex(old."id") WHEN 'real' THEN iif(abs(old."id") < 1e9 AND old."id" = round(old."id" * 1e6) / 1e6, printf('%!.15g', old."id"), replace(printf('%!.20g', old."id"), 'Inf', '9e999')) ELSE CAST(old."id" AS TEXT) END AS previous, json_group_object(name, CASE
 WHEN +after >= '' THEN CASE
  WHEN length(CAST(after AS BLOB)) > 7500000
   AND (SELECT sum(length(CAST(after AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(after AS BLOB))
    || ',"head":"' || hex(substr(CAST(after AS BLOB), 1, 1000)) || '"}}')
  WHEN +after >= x'' THEN json('{"$blob":"' || hex(after) || '"}')
  ELSE after || '' END
 WHEN typeof(after) = 'real' THEN json(iif(abs(after) < 1e9 AND after = round(after * 1e6) / 1e6, printf('%!.15g', after), replace(printf('%!.20g', after), 'Inf', '9e999')))
 ELSE after END) AS row_data, json_group_object(name, CASE
 WHEN +before >= '' THEN CASE
  WHEN length(CAST(before AS BLOB)) > 7500000
   AND (SELECT sum(length(CAST(before AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(before AS BLOB))
    || ',"head":"' || hex(substr(CAST(before AS BLOB), 1, 1000)) || '"}}')
  WHEN +before >= x'' THEN json('{"$blob":"' || hex(before) || '"}')
  ELSE before || '' END
 WHEN typeof(before) = 'real' THEN json(iif(abs(before) < 1e9 AND before = round(before * 1e6) / 1e6, printf('%!.15g', before), replace(printf('%!.20g', before), 'Inf', '9e999')))
 ELSE before END) FILTER (WHERE +before IS NOT +after COLLATE BINARY) AS changed_from FROM image); /* auditrepr {"fingerprint": "70c106d625b341f975a83f1f43f565d1f13637c33dbfcfdfa73d9fe93e2b014d", "excluded": [], "columns": ["id", "title", "author_id", "price"]} */ END;
CREATE TRIGGER "auditrepr_delete_library_book" AFTER delete ON "library_book" BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_book', strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE typeof(old."id") WHEN 'blob' THEN hex(old."id") WHEN 'real' THEN iif(abs(old."id") < 1e9 AND old."id" = round(old."id" * 1e6) / 1e6, printf('%!.15g', old."id"), replace(printf('%!.20g', old."id"), 'Inf', '9e999')) ELSE CAST(old."id" AS TEXT) END, NULL, 'D', (WITH image (name, value) AS NOT MATERIALIZED (VALUES ('id', old."id"), ('title', old."title"), ('author_id', old."author_id"), ('price', old."price")) SELECT json_group_object(name, CASE
 WHEN +value >= '' THEN CASE
  WHEN length(CAST(value AS BLOB)) > 7500000
   AND (SELECT sum(length(CAST(value AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(value AS BLOB))
    || ',"head":"' || hex(substr(CAST(value AS BLOB), 1, 1000)) || '"}}')
  WHEN +value >= x'' THEN json('{"$blob":"' || hex(value) || '"}')
  ELSE value || '' END
 WHEN typeof(value) = 'real' THEN json(iif(abs(value) < 1e9 AND value = round(value * 1e6) / 1e6, printf('%!.15g', value), replace(printf('%!.20g', value), 'Inf', '9e999')))
 ELSE value END) FROM image), NULL; /* auditrepr {"fingerprint": "70c106d625b341f975a83f1f43f565d1f13637c33dbfcfdfa73d9fe93e2b014d", "excluded": [], "columns": ["id", "title", "author_id", "price"]} */ END;
CREATE TRIGGER "auditrepr_insert_library_book_tags" AFTER insert ON "library_book_tags" BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_book_tags', strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE typeof(new."id") WHEN 'blob' THEN hex(new."id") WHEN 'real' THEN iif(abs(new."id") < 1e9 AND new."id" = round(new."id" * 1e6) / 1e6, printf('%!.15g', new."id"), replace(printf('%!.20g', new."id"), 'Inf', '9e999')) ELSE CAST(new."id" AS TEXT) END, NULL, 'I', (WITH image (name, value) AS NOT MATERIALIZED (VALUES ('id', new."id"), ('book_id', new."book_id"), ('tag_id', new."tag_id")) SELECT json_group_object(name, CASE
 WHEN +value >= '' THEN CASE
  WHEN length(CAST(value AS BLOB)) > 10000000
   AND (SELECT sum(length(CAST(value AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(value AS BLOB))
    || ',"head":"' || hex(substr(CAST(value AS BLOB), 1, 1000)) || '"}}')
  WHEN +value >= x'' THEN json('{"$blob":"' || hex(value) || '"}')
  ELSE value || '' END
 WHEN typeof(value) = 'real' THEN json(iif(abs(value) < 1e9 AND value = round(value * 1e6) / 1e6, printf('%!.15g', value), replace(printf('%!.20g', value), 'Inf', '9e999')))
 ELSE value END) FROM image), NULL; /* auditrepr {"fingerprint": "919565376b7a3fe8da7c4c6ff4403dd0a428b9ec2f38cc1415b6c1d5b75616c3", "excluded": [], "columns": ["id", "book_id", "tag_id"]} */ END;
CREATE TRIGGER "auditrepr_update_library_book_tags" AFTER update ON "library_book_tags" WHEN (old."id" IS NOT new."id" COLLATE BINARY OR (old."book_id" IS NOT new."book_id" COLLATE BINARY OR old."tag_id" IS NOT new."tag_id" COLLATE BINARY)) BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_book_tags', strftime('%Y-%m-%d %H:%M:%f000', 'now'), key, nullif(previous, key), 'U', row_data, changed_from FROM (WITH image (name, before, after) AS NOT MATERIALIZED (VALUES ('id', old."id", new."id"), ('book_id', old."book_id", new."book_id"), ('tag_id', old."tag_id", new."tag_id")) SELECT CASE typeof(new."id") WHEN 'blob' THEN hex(new."id") WHEN 'real' THEN iif(abs(new."id") < 1e9 AND new."id" = round(new."id" * 1e6) / 1e6, printf('%!.15g', new."id"), replace(printf('%!.20g', new."id"), 'Inf', '9e999')) ELSE CAST(new."id" AS TEXT) END AS key, CASE typeof(old."id") WHEN 'blob' THEN hex(old."id") WHEN 'real' THEN iif(abs(old."id") < 1e9 AND old."id" = round(old."id" * 1e6) / 1e6, printf('%!.15g', old."id"), replace(printf('%!.20g', old."id"), 'Inf', '9e999')) ELSE CAST(old."id" AS TEXT) END AS previous, json_group_object(name, CASE
 WHEN +after >= '' THEN CASE
  WHEN length(CAST(after AS BLOB)) > 10000000
   AND (SELECT sum(length(CAST(after AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(after AS BLOB))
    || ',"head":"' || hex(substr(CAST(after AS BLOB), 1, 1000)) || '"}}')
  WHEN +after >= x'' THEN json('{"$blob":"' || hex(after) || '"}')
  ELSE after || '' END
 WHEN typeof(after) = 'real' THEN json(iif(abs(after) < 1e9 AND after = round(after * 1e6) / 1e6, printf('%!.15g', after), replace(printf('%!.20g', after), 'Inf', '9e999')))
 ELSE after END) AS row_data, json_group_object(name, CASE
 WHEN +before >= '' THEN CASE
  WHEN length(CAST(before AS BLOB)) > 10000000
   AND (SELECT sum(length(CAST(before AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(before AS BLOB))
    || ',"head":"' || hex(substr(CAST(before AS BLOB), 1, 1000)) || '"}}')
  WHEN +before >= x'' THEN json('{"$blob":"' || hex(before) || '"}')
  ELSE before || '' END
 WHEN typeof(before) = 'real' THEN json(iif(abs(before) < 1e9 AND before = round(before * 1e6) / 1e6, printf('%!.15g', before), replace(printf('%!.20g', before), 'Inf', '9e999')))
 ELSE before END) FILTER (WHERE +before IS NOT +after COLLATE BINARY) AS changed_from FROM image); /* auditrepr {"fingerprint": "919565376b7a3fe8da7c4c6ff4403dd0a428b9ec2f38cc1415b6c1d5b75616c3", "excluded": [], "columns": ["id", "book_id", "tag_id"]} */ END;
CREATE TRIGGER "auditrepr_delete_library_book_tags" AFTER delete ON "library_book_tags" BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_book_tags', strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE typeof(old."id") WHEN 'blob' THEN hex(old."id") WHEN 'real' THEN iif(abs(old."id") < 1e9 AND old."id" = round(old."id" * 1e6) / 1e6, printf('%!.15g', old."id"), replace(printf('%!.20g', old."id"), 'Inf', '9e999')) ELSE CAST(old."id" AS TEXT) END, NULL, 'D', (WITH image (name, value) AS NOT MATERIALIZED (VALUES ('id', old."id"), ('book_id', old."book_id"), ('tag_id', old."tag_id")) SELECT json_group_object(name, CASE
 WHEN +value >= '' THEN CASE
  WHEN length(CAST(value AS BLOB)) > 10000000
   AND (SELECT sum(length(CAST(value AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(value AS BLOB))
    || ',"head":"' || hex(substr(CAST(value AS BLOB), 1, 1000)) || '"}}')
  WHEN +value >= x'' THEN json('{"$blob":"' || hex(value) || '"}')
  ELSE value || '' END
 WHEN typeof(value) = 'real' THEN json(iif(abs(value) < 1e9 AND value = round(value * 1e6) / 1e6, printf('%!.15g', value), replace(printf('%!.20g', value), 'Inf', '9e999')))
 ELSE value END) FROM image), NULL; /* auditrepr {"fingerprint": "919565376b7a3fe8da7c4c6ff4403dd0a428b9ec2f38cc1415b6c1d5b75616c3", "excluded": [], "columns": ["id", "book_id", "tag_id"]} */ END;
CREATE TRIGGER append_only_auditrepr_update BEFORE UPDATE ON "auditrepr_auditlog" WHEN old.context IS NOT NULL OR new.context IS NULL OR old.id IS NOT new.id OR old.table_name IS NOT new.table_name OR old.object_id IS NOT new.object_id OR old.previous_object_id IS NOT new.previous_object_id OR old.action IS NOT new.action OR old.row_data IS NOT new.row_data OR old.changed_from IS NOT new.changed_from OR old.writer IS NOT new.writer OR old.transaction_id IS NOT new.transaction_id OR old.snapshot IS NOT new.snapshot OR old.statement_at IS NOT new.statement_at OR old.occurred_at IS NOT new.occurred_at BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER append_only_auditrepr_delete BEFORE DELETE ON "auditrepr_auditlog" BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER append_only_auditrepr_replace BEFORE INSERT ON "auditrepr_auditlog" WHEN EXISTS (SELECT 1 FROM "auditrepr_auditlog" AS held WHERE held.id = new.id) BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER search_auditrepr_instancerepr_insert AFTER INSERT ON auditrepr_instancerepr BEGIN INSERT INTO auditrepr_repr_trigrams (rowid, instance_repr) VALUES (new.audit_log_id, new.instance_repr); END;
CREATE TRIGGER search_auditrepr_instancerepr_update AFTER UPDATE ON auditrepr_instancerepr BEGIN INSERT INTO auditrepr_repr_trigrams (auditrepr_repr_trigrams, rowid, instance_repr) VALUES ('delete', old.audit_log_id, old.instance_repr); INSERT INTO auditrepr_repr_trigrams (rowid, instance_repr) VALUES (new.audit_log_id, new.instance_repr); END;
CREATE TRIGGER search_auditrepr_instancerepr_delete AFTER DELETE ON auditrepr_instancerepr BEGIN INSERT INTO auditrepr_repr_trigrams (auditrepr_repr_trigrams, rowid, instance_repr) VALUES ('delete', old.audit_log_id, old.instance_repr); END;
CREATE TRIGGER "auditrepr_insert_library_tag" AFTER insert ON "library_tag" BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_tag', strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE typeof(new."id") WHEN 'blob' THEN hex(new."id") WHEN 'real' THEN iif(abs(new."id") < 1e9 AND new."id" = round(new."id" * 1e6) / 1e6, printf('%!.15g', new."id"), replace(printf('%!.20g', new."id"), 'Inf', '9e999')) ELSE CAST(new."id" AS TEXT) END, NULL, 'I', (WITH image (name, value) AS NOT MATERIALIZED (VALUES ('id', new."id"), ('label', new."label")) SELECT json_group_object(name, CASE
 WHEN +value >= '' THEN CASE
  WHEN length(CAST(value AS BLOB)) > 15000000
   AND (SELECT sum(length(CAST(value AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(value AS BLOB))
    || ',"head":"' || hex(substr(CAST(value AS BLOB), 1, 1000)) || '"}}')
  WHEN +value >= x'' THEN json('{"$blob":"' || hex(value) || '"}')
  ELSE value || '' END
 WHEN typeof(value) = 'real' THEN json(iif(abs(value) < 1e9 AND value = round(value * 1e6) / 1e6, printf('%!.15g', value), replace(printf('%!.20g', value), 'Inf', '9e999')))
 ELSE value END) FROM image), NULL; /* auditrepr {"fingerprint": "49a3fcf5a162bde70f54411399be6eb98cb997db02bd1238e80cb7cc1e2ee5de", "excluded": [], "columns": ["id", "label"]} */ END;
CREATE TRIGGER "auditrepr_update_library_tag" AFTER update ON "library_tag" WHEN (old."id" IS NOT new."id" COLLATE BINARY OR old."label" IS NOT new."label" COLLATE BINARY) BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_tag', strftime('%Y-%m-%d %H:%M:%f000', 'now'), key, nullif(previous, key), 'U', row_data, changed_from FROM (WITH image (name, before, after) AS NOT MATERIALIZED (VALUES ('id', old."id", new."id"), ('label', old."label", new."label")) SELECT CASE typeof(new."id") WHEN 'blob' THEN hex(new."id") WHEN 'real' THEN iif(abs(new."id") < 1e9 AND new."id" = round(new."id" * 1e6) / 1e6, printf('%!.15g', new."id"), replace(printf('%!.20g', new."id"), 'Inf', '9e999')) ELSE CAST(new."id" AS TEXT) END AS key, CASE typeof(old."id") WHEN 'blob' THEN hex(old."id") WHEN 'real' THEN iif(abs(old."id") < 1e9 AND old."id" = round(old."id" * 1e6) / 1e6, printf('%!.15g', old."id"), replace(printf('%!.20g', old."id"), 'Inf', '9e999')) ELSE CAST(old."id" AS TEXT) END AS previous, json_group_object(name, CASE
 WHEN +after >= '' THEN CASE
  WHEN length(CAST(after AS BLOB)) > 15000000
   AND (SELECT sum(length(CAST(after AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(after AS BLOB))
    || ',"head":"' || hex(substr(CAST(after AS BLOB), 1, 1000)) || '"}}')
  WHEN +after >= x'' THEN json('{"$blob":"' || hex(after) || '"}')
  ELSE after || '' END
 WHEN typeof(after) = 'real' THEN json(iif(abs(after) < 1e9 AND after = round(after * 1e6) / 1e6, printf('%!.15g', after), replace(printf('%!.20g', after), 'Inf', '9e999')))
 ELSE after END) AS row_data, json_group_object(name, CASE
 WHEN +before >= '' THEN CASE
  WHEN length(CAST(before AS BLOB)) > 15000000
   AND (SELECT sum(length(CAST(before AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(before AS BLOB))
    || ',"head":"' || hex(substr(CAST(before AS BLOB), 1, 1000)) || '"}}')
  WHEN +before >= x'' THEN json('{"$blob":"' || hex(before) || '"}')
  ELSE before || '' END
 WHEN typeof(before) = 'real' THEN json(iif(abs(before) < 1e9 AND before = round(before * 1e6) / 1e6, printf('%!.15g', before), replace(printf('%!.20g', before), 'Inf', '9e999')))
 ELSE before END) FILTER (WHERE +before IS NOT +after COLLATE BINARY) AS changed_from FROM image); /* auditrepr {"fingerprint": "49a3fcf5a162bde70f54411399be6eb98cb997db02bd1238e80cb7cc1e2ee5de", "excluded": [], "columns": ["id", "label"]} */ END;
CREATE TRIGGER "auditrepr_delete_library_tag" AFTER delete ON "library_tag" BEGIN INSERT INTO "auditrepr_auditlog" (table_name, occurred_at, object_id, previous_object_id, action, row_data, changed_from) SELECT 'library_tag', strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE typeof(old."id") WHEN 'blob' THEN hex(old."id") WHEN 'real' THEN iif(abs(old."id") < 1e9 AND old."id" = round(old."id" * 1e6) / 1e6, printf('%!.15g', old."id"), replace(printf('%!.20g', old."id"), 'Inf', '9e999')) ELSE CAST(old."id" AS TEXT) END, NULL, 'D', (WITH image (name, value) AS NOT MATERIALIZED (VALUES ('id', old."id"), ('label', old."label")) SELECT json_group_object(name, CASE
 WHEN +value >= '' THEN CASE
  WHEN length(CAST(value AS BLOB)) > 15000000
   AND (SELECT sum(length(CAST(value AS BLOB))) FROM image) > 30000000
   THEN json('{"$digest":{"bytes":' || length(CAST(value AS BLOB))
    || ',"head":"' || hex(substr(CAST(value AS BLOB), 1, 1000)) || '"}}')
  WHEN +value >= x'' THEN json('{"$blob":"' || hex(value) || '"}')
  ELSE value || '' END
 WHEN typeof(value) = 'real' THEN json(iif(abs(value) < 1e9 AND value = round(value * 1e6) / 1e6, printf('%!.15g', value), replace(printf('%!.20g', value), 'Inf', '9e999')))
 ELSE value END) FROM image), NULL; /* auditrepr {"fingerprint": "49a3fcf5a162bde70f54411399be6eb98cb997db02bd1238e80cb7cc1e2ee5de", "excluded": [], "columns": ["id", "label"]} */ END;
CREATE TRIGGER auditrepr_seal AFTER DELETE ON auditrepr_coverage WHEN 0 BEGIN SELECT 1; END;
