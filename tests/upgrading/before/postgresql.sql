SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.auditrepr_append_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('auditrepr.pruning', true) = 'on' AND pg_has_role(
        session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER'
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE FUNCTION public.auditrepr_enter() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM set_config('auditrepr.open', concat(current_setting('auditrepr.open', true),
        TG_ARGV[0], ':', TG_OP, ':', pg_trigger_depth() - 1, ' '), true);
    RETURN NULL;
END
$$;
CREATE FUNCTION public.auditrepr_leave() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM set_config('auditrepr.open', regexp_replace(current_setting('auditrepr.open', true),
        concat(TG_ARGV[0], ':', TG_OP, ':', pg_trigger_depth() - 1, ' '), ''), true);
    RETURN NULL;
END
$$;
CREATE FUNCTION public.auditrepr_log_emptied() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM set_config('auditrepr.emptied', extract(epoch FROM statement_timestamp())::text, true);
    RETURN NULL;
END
$$;
CREATE FUNCTION public.auditrepr_on_494e1aad9bbf061da5b39ddd70d71527() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_variable
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    seen CONSTANT text := CASE TG_OP
        WHEN 'DELETE' THEN current_setting(concat('auditrepr.seen', pg_trigger_depth() - 1))
        ELSE pg_current_snapshot()::text END;
    told CONSTANT jsonb := nullif(current_setting('auditrepr.context', true), '')::jsonb;
    teller CONSTANT text := CASE WHEN told IS NULL THEN concat(
        session_user, ' (' || nullif(current_setting('application_name'), '') || ')') END;
    gone record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_author', image ->> 'id', NULL, 'I', image, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (SELECT CASE WHEN pg_column_size(auditrepr_new) < 1000000 THEN to_jsonb(auditrepr_new) ELSE "public".auditrepr_row(auditrepr_new, TG_RELID) END AS image FROM auditrepr_new OFFSET 0) AS event;
    ELSIF TG_OP = 'UPDATE' THEN
        IF EXISTS (SELECT FROM auditrepr_new OFFSET 50) AND 'id bigint, name text, motto text' = (
            SELECT string_agg(concat(attname, ' ', format_type(atttypid, atttypmod)), ', '
                ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped) THEN
            INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_author', image ->> 'id', NULLIF(changed ->> 'id', image ->> 'id'), 'U', image, changed,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (
            SELECT CASE WHEN pg_column_size(fresh) < 1000000 THEN to_jsonb(fresh) ELSE "public".auditrepr_row(fresh, TG_RELID) END AS image,
                CASE WHEN pg_column_size(past) < 1000000 AND pg_column_size(fresh) < 1000000
                THEN ('{' || substr(nullif(concat(
                    CASE WHEN (past)."id" IS DISTINCT FROM (fresh)."id"
                    THEN ',"id":' || coalesce(to_jsonb((past)."id")::text, 'null') END,
                    CASE WHEN (past)."name" IS DISTINCT FROM (fresh)."name" COLLATE "C"
                    THEN ',"name":' || coalesce(to_jsonb((past)."name")::text, 'null') END,
                    CASE WHEN (past)."motto" IS DISTINCT FROM (fresh)."motto" COLLATE "C"
                    THEN ',"motto":' || coalesce(to_jsonb((past)."motto")::text, 'null') END), ''), 2) || '}')::jsonb
                ELSE (
                    SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(CASE WHEN pg_column_size(past) < 1000000 THEN to_jsonb(past) ELSE "public".auditrepr_row(past, TG_RELID) END) AS was
                    WHERE was.value IS DISTINCT FROM (CASE WHEN pg_column_size(fresh) < 1000000 THEN to_jsonb(fresh) ELSE "public".auditrepr_row(fresh, TG_RELID) END -> was.key)
                ) END AS changed
            FROM (
                SELECT before.auditrepr_old AS past, after.auditrepr_new AS fresh
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place) OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL;
        ELSE
            INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_author', image ->> 'id', NULLIF(changed ->> 'id', image ->> 'id'), 'U', image, changed,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (
            SELECT image, (
                SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(past) AS was
                WHERE was.value IS DISTINCT FROM (image -> was.key)
            ) AS changed
            FROM (
                SELECT CASE WHEN pg_column_size(before.auditrepr_old) < 1000000 THEN to_jsonb(before.auditrepr_old) ELSE "public".auditrepr_row(before.auditrepr_old, TG_RELID) END AS past, CASE WHEN pg_column_size(after.auditrepr_new) < 1000000 THEN to_jsonb(after.auditrepr_new) ELSE "public".auditrepr_row(after.auditrepr_new, TG_RELID) END AS image
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place) OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL;
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_author', image ->> 'id', NULL, 'D', image, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (SELECT CASE WHEN pg_column_size(auditrepr_old) < 1000000 THEN to_jsonb(auditrepr_old) ELSE "public".auditrepr_row(auditrepr_old, TG_RELID) END AS image FROM auditrepr_old OFFSET 0) AS event;
    ELSIF current_setting('auditrepr.emptied', true) IS DISTINCT FROM extract(epoch FROM statement_timestamp())::text THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_author', NULL, NULL, 'T', NULL, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.auditrepr_on_afab78beef73918842f231e0527fab4c() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_variable
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    seen CONSTANT text := CASE TG_OP
        WHEN 'DELETE' THEN current_setting(concat('auditrepr.seen', pg_trigger_depth() - 1))
        ELSE pg_current_snapshot()::text END;
    told CONSTANT jsonb := nullif(current_setting('auditrepr.context', true), '')::jsonb;
    teller CONSTANT text := CASE WHEN told IS NULL THEN concat(
        session_user, ' (' || nullif(current_setting('application_name'), '') || ')') END;
    gone record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_tag', image ->> 'id', NULL, 'I', image, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (SELECT CASE WHEN pg_column_size(auditrepr_new) < 1000000 THEN to_jsonb(auditrepr_new) ELSE "public".auditrepr_row(auditrepr_new, TG_RELID) END AS image FROM auditrepr_new OFFSET 0) AS event;
    ELSIF TG_OP = 'UPDATE' THEN
        IF EXISTS (SELECT FROM auditrepr_new OFFSET 50) AND 'id bigint, label text' = (
            SELECT string_agg(concat(attname, ' ', format_type(atttypid, atttypmod)), ', '
                ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped) THEN
            INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_tag', image ->> 'id', NULLIF(changed ->> 'id', image ->> 'id'), 'U', image, changed,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (
            SELECT CASE WHEN pg_column_size(fresh) < 1000000 THEN to_jsonb(fresh) ELSE "public".auditrepr_row(fresh, TG_RELID) END AS image,
                CASE WHEN pg_column_size(past) < 1000000 AND pg_column_size(fresh) < 1000000
                THEN ('{' || substr(nullif(concat(
                    CASE WHEN (past)."id" IS DISTINCT FROM (fresh)."id"
                    THEN ',"id":' || coalesce(to_jsonb((past)."id")::text, 'null') END,
                    CASE WHEN (past)."label" IS DISTINCT FROM (fresh)."label" COLLATE "C"
                    THEN ',"label":' || coalesce(to_jsonb((past)."label")::text, 'null') END), ''), 2) || '}')::jsonb
                ELSE (
                    SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(CASE WHEN pg_column_size(past) < 1000000 THEN to_jsonb(past) ELSE "public".auditrepr_row(past, TG_RELID) END) AS was
                    WHERE was.value IS DISTINCT FROM (CASE WHEN pg_column_size(fresh) < 1000000 THEN to_jsonb(fresh) ELSE "public".auditrepr_row(fresh, TG_RELID) END -> was.key)
                ) END AS changed
            FROM (
                SELECT before.auditrepr_old AS past, after.auditrepr_new AS fresh
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place) OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL;
        ELSE
            INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_tag', image ->> 'id', NULLIF(changed ->> 'id', image ->> 'id'), 'U', image, changed,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (
            SELECT image, (
                SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(past) AS was
                WHERE was.value IS DISTINCT FROM (image -> was.key)
            ) AS changed
            FROM (
                SELECT CASE WHEN pg_column_size(before.auditrepr_old) < 1000000 THEN to_jsonb(before.auditrepr_old) ELSE "public".auditrepr_row(before.auditrepr_old, TG_RELID) END AS past, CASE WHEN pg_column_size(after.auditrepr_new) < 1000000 THEN to_jsonb(after.auditrepr_new) ELSE "public".auditrepr_row(after.auditrepr_new, TG_RELID) END AS image
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place) OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL;
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_tag', image ->> 'id', NULL, 'D', image, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (SELECT CASE WHEN pg_column_size(auditrepr_old) < 1000000 THEN to_jsonb(auditrepr_old) ELSE "public".auditrepr_row(auditrepr_old, TG_RELID) END AS image FROM auditrepr_old OFFSET 0) AS event;
    ELSIF current_setting('auditrepr.emptied', true) IS DISTINCT FROM extract(epoch FROM statement_timestamp())::text THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_tag', NULL, NULL, 'T', NULL, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.auditrepr_on_daf31965c323a6f1558737ef2bd78db0() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_variable
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    seen CONSTANT text := CASE TG_OP
        WHEN 'DELETE' THEN current_setting(concat('auditrepr.seen', pg_trigger_depth() - 1))
        ELSE pg_current_snapshot()::text END;
    told CONSTANT jsonb := nullif(current_setting('auditrepr.context', true), '')::jsonb;
    teller CONSTANT text := CASE WHEN told IS NULL THEN concat(
        session_user, ' (' || nullif(current_setting('application_name'), '') || ')') END;
    gone record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book', image ->> 'id', NULL, 'I', image, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (SELECT CASE WHEN pg_column_size(auditrepr_new) < 1000000 THEN to_jsonb(auditrepr_new) ELSE "public".auditrepr_row(auditrepr_new, TG_RELID) END AS image FROM auditrepr_new OFFSET 0) AS event;
    ELSIF TG_OP = 'UPDATE' THEN
        IF EXISTS (SELECT FROM auditrepr_new OFFSET 50) AND 'id bigint, title text, author_id bigint, price numeric(8,2)' = (
            SELECT string_agg(concat(attname, ' ', format_type(atttypid, atttypmod)), ', '
                ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped) THEN
            INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book', image ->> 'id', NULLIF(changed ->> 'id', image ->> 'id'), 'U', image, changed,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (
            SELECT CASE WHEN pg_column_size(fresh) < 1000000 THEN to_jsonb(fresh) ELSE "public".auditrepr_row(fresh, TG_RELID) END AS image,
                CASE WHEN pg_column_size(past) < 1000000 AND pg_column_size(fresh) < 1000000
                THEN ('{' || substr(nullif(concat(
                    CASE WHEN (past)."id" IS DISTINCT FROM (fresh)."id"
                    THEN ',"id":' || coalesce(to_jsonb((past)."id")::text, 'null') END,
                    CASE WHEN (past)."title" IS DISTINCT FROM (fresh)."title" COLLATE "C"
                    THEN ',"title":' || coalesce(to_jsonb((past)."title")::text, 'null') END,
                    CASE WHEN (past)."author_id" IS DISTINCT FROM (fresh)."author_id"
                    THEN ',"author_id":' || coalesce(to_jsonb((past)."author_id")::text, 'null') END,
                    CASE WHEN (past)."price" IS DISTINCT FROM (fresh)."price"
                    THEN ',"price":' || coalesce(to_jsonb((past)."price")::text, 'null') END), ''), 2) || '}')::jsonb
                ELSE (
                    SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(CASE WHEN pg_column_size(past) < 1000000 THEN to_jsonb(past) ELSE "public".auditrepr_row(past, TG_RELID) END) AS was
                    WHERE was.value IS DISTINCT FROM (CASE WHEN pg_column_size(fresh) < 1000000 THEN to_jsonb(fresh) ELSE "public".auditrepr_row(fresh, TG_RELID) END -> was.key)
                ) END AS changed
            FROM (
                SELECT before.auditrepr_old AS past, after.auditrepr_new AS fresh
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place) OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL;
        ELSE
            INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book', image ->> 'id', NULLIF(changed ->> 'id', image ->> 'id'), 'U', image, changed,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (
            SELECT image, (
                SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(past) AS was
                WHERE was.value IS DISTINCT FROM (image -> was.key)
            ) AS changed
            FROM (
                SELECT CASE WHEN pg_column_size(before.auditrepr_old) < 1000000 THEN to_jsonb(before.auditrepr_old) ELSE "public".auditrepr_row(before.auditrepr_old, TG_RELID) END AS past, CASE WHEN pg_column_size(after.auditrepr_new) < 1000000 THEN to_jsonb(after.auditrepr_new) ELSE "public".auditrepr_row(after.auditrepr_new, TG_RELID) END AS image
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place) OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL;
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book', image ->> 'id', NULL, 'D', image, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (SELECT CASE WHEN pg_column_size(auditrepr_old) < 1000000 THEN to_jsonb(auditrepr_old) ELSE "public".auditrepr_row(auditrepr_old, TG_RELID) END AS image FROM auditrepr_old OFFSET 0) AS event;
    ELSIF current_setting('auditrepr.emptied', true) IS DISTINCT FROM extract(epoch FROM statement_timestamp())::text THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book', NULL, NULL, 'T', NULL, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.auditrepr_on_f4b3bfbbafd726e58a8de7d9220f3614() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_variable
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    seen CONSTANT text := CASE TG_OP
        WHEN 'DELETE' THEN current_setting(concat('auditrepr.seen', pg_trigger_depth() - 1))
        ELSE pg_current_snapshot()::text END;
    told CONSTANT jsonb := nullif(current_setting('auditrepr.context', true), '')::jsonb;
    teller CONSTANT text := CASE WHEN told IS NULL THEN concat(
        session_user, ' (' || nullif(current_setting('application_name'), '') || ')') END;
    gone record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book_tags', image ->> 'id', NULL, 'I', image, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (SELECT CASE WHEN pg_column_size(auditrepr_new) < 1000000 THEN to_jsonb(auditrepr_new) ELSE "public".auditrepr_row(auditrepr_new, TG_RELID) END AS image FROM auditrepr_new OFFSET 0) AS event;
    ELSIF TG_OP = 'UPDATE' THEN
        IF EXISTS (SELECT FROM auditrepr_new OFFSET 50) AND 'id bigint, book_id bigint, tag_id bigint' = (
            SELECT string_agg(concat(attname, ' ', format_type(atttypid, atttypmod)), ', '
                ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped) THEN
            INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book_tags', image ->> 'id', NULLIF(changed ->> 'id', image ->> 'id'), 'U', image, changed,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (
            SELECT CASE WHEN pg_column_size(fresh) < 1000000 THEN to_jsonb(fresh) ELSE "public".auditrepr_row(fresh, TG_RELID) END AS image,
                CASE WHEN pg_column_size(past) < 1000000 AND pg_column_size(fresh) < 1000000
                THEN ('{' || substr(nullif(concat(
                    CASE WHEN (past)."id" IS DISTINCT FROM (fresh)."id"
                    THEN ',"id":' || coalesce(to_jsonb((past)."id")::text, 'null') END,
                    CASE WHEN (past)."book_id" IS DISTINCT FROM (fresh)."book_id"
                    THEN ',"book_id":' || coalesce(to_jsonb((past)."book_id")::text, 'null') END,
                    CASE WHEN (past)."tag_id" IS DISTINCT FROM (fresh)."tag_id"
                    THEN ',"tag_id":' || coalesce(to_jsonb((past)."tag_id")::text, 'null') END), ''), 2) || '}')::jsonb
                ELSE (
                    SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(CASE WHEN pg_column_size(past) < 1000000 THEN to_jsonb(past) ELSE "public".auditrepr_row(past, TG_RELID) END) AS was
                    WHERE was.value IS DISTINCT FROM (CASE WHEN pg_column_size(fresh) < 1000000 THEN to_jsonb(fresh) ELSE "public".auditrepr_row(fresh, TG_RELID) END -> was.key)
                ) END AS changed
            FROM (
                SELECT before.auditrepr_old AS past, after.auditrepr_new AS fresh
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place) OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL;
        ELSE
            INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book_tags', image ->> 'id', NULLIF(changed ->> 'id', image ->> 'id'), 'U', image, changed,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (
            SELECT image, (
                SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(past) AS was
                WHERE was.value IS DISTINCT FROM (image -> was.key)
            ) AS changed
            FROM (
                SELECT CASE WHEN pg_column_size(before.auditrepr_old) < 1000000 THEN to_jsonb(before.auditrepr_old) ELSE "public".auditrepr_row(before.auditrepr_old, TG_RELID) END AS past, CASE WHEN pg_column_size(after.auditrepr_new) < 1000000 THEN to_jsonb(after.auditrepr_new) ELSE "public".auditrepr_row(after.auditrepr_new, TG_RELID) END AS image
                FROM (
                    SELECT row_number() OVER () AS place, auditrepr_old FROM auditrepr_old
                ) AS before
                FULL JOIN (
                    SELECT row_number() OVER () AS place, auditrepr_new FROM auditrepr_new
                ) AS after USING (place) OFFSET 0) AS pair
            OFFSET 0
        ) AS event
        WHERE changed IS NOT NULL;
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book_tags', image ->> 'id', NULL, 'D', image, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller
        FROM (SELECT CASE WHEN pg_column_size(auditrepr_old) < 1000000 THEN to_jsonb(auditrepr_old) ELSE "public".auditrepr_row(auditrepr_old, TG_RELID) END AS image FROM auditrepr_old OFFSET 0) AS event;
    ELSIF current_setting('auditrepr.emptied', true) IS DISTINCT FROM extract(epoch FROM statement_timestamp())::text THEN
        INSERT INTO "public".auditrepr_auditlog (
            table_name, object_id, previous_object_id, action, row_data, changed_from,
            transaction_id, snapshot, statement_at, occurred_at, context, writer
        )
        SELECT 'library_book_tags', NULL, NULL, 'T', NULL, NULL,
            txid_current(), seen, statement_timestamp(), moment, told, teller;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.auditrepr_row(content record, relation oid) RETURNS jsonb
    LANGUAGE plpgsql
    AS $_$
DECLARE
    name text;
    is_bytea bool;
    source text;
    item jsonb;
    raw bytea;
    result jsonb := '{}';
BEGIN
    RETURN to_jsonb(content);
EXCEPTION WHEN OTHERS THEN
    -- JSON cannot hold it all: column by column, and a digest for what does not fit.
    SELECT format(' FROM %s($1) AS image (%s)', '"public".auditrepr_same', string_agg(
        format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum))
    INTO source FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped;
    FOR name, is_bytea IN
        SELECT attname, atttypid = 'bytea'::regtype FROM pg_attribute
        WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    LOOP
        BEGIN
            EXECUTE format('SELECT jsonb_build_object($2, image.%I)', name) || source
            INTO item USING content, name;
            result := result || item;
        EXCEPTION WHEN OTHERS THEN
            EXECUTE format(CASE WHEN is_bytea THEN 'SELECT image.%I'
                ELSE 'SELECT convert_to(image.%I::text, ''UTF8'')' END, name) || source
            INTO raw USING content;
            result := result || jsonb_build_object(name, jsonb_build_object('$digest',
                jsonb_build_object('sha256', encode(sha256(raw), 'hex'),
                    'bytes', octet_length(raw))));
        END;
    END LOOP;
    RETURN result;
END
$_$;
CREATE FUNCTION public.auditrepr_same(record) RETURNS record
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    RETURN $1;
END
$_$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.auditrepr_auditlog (
    id bigint NOT NULL,
    table_name text NOT NULL,
    object_id text,
    previous_object_id text,
    action character varying(1) NOT NULL,
    row_data jsonb,
    changed_from jsonb,
    context jsonb,
    actor text GENERATED ALWAYS AS (
CASE
    WHEN (context IS NOT NULL) THEN "left"((context ->> 'user'::text), 200)
    ELSE NULL::text
END) STORED,
    writer text,
    transaction_id bigint,
    snapshot text,
    statement_at timestamp with time zone,
    occurred_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL
);
ALTER TABLE public.auditrepr_auditlog ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auditrepr_auditlog_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.auditrepr_backfillrun (
    id bigint NOT NULL,
    command text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    host text NOT NULL,
    pid integer NOT NULL,
    rows bigint NOT NULL,
    failures bigint NOT NULL,
    batches integer NOT NULL,
    stop_reason character varying(12) NOT NULL,
    error text NOT NULL,
    idle_runs integer NOT NULL,
    skipped_runs integer NOT NULL,
    CONSTRAINT auditrepr_backfillrun_batches_check CHECK ((batches >= 0)),
    CONSTRAINT auditrepr_backfillrun_failures_check CHECK ((failures >= 0)),
    CONSTRAINT auditrepr_backfillrun_idle_runs_check CHECK ((idle_runs >= 0)),
    CONSTRAINT auditrepr_backfillrun_pid_check CHECK ((pid >= 0)),
    CONSTRAINT auditrepr_backfillrun_rows_check CHECK ((rows >= 0)),
    CONSTRAINT auditrepr_backfillrun_skipped_runs_check CHECK ((skipped_runs >= 0))
);
ALTER TABLE public.auditrepr_backfillrun ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auditrepr_backfillrun_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.auditrepr_checkpoint (
    id smallint NOT NULL,
    settled_id bigint NOT NULL,
    candidate_id bigint,
    candidate_evidence jsonb,
    candidate_at timestamp with time zone,
    swept_id bigint NOT NULL,
    CONSTRAINT auditrepr_checkpoint_id_check CHECK ((id >= 0))
);
CREATE TABLE public.auditrepr_coverage (
    table_name text NOT NULL,
    since_event bigint,
    transaction_id bigint,
    reason character varying(10) NOT NULL,
    pruned_id bigint NOT NULL,
    pruned_transaction_id bigint,
    columns jsonb NOT NULL,
    triggers text NOT NULL,
    recorded_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL
);
CREATE TABLE public.auditrepr_instancerepr (
    audit_log_id bigint NOT NULL,
    instance_repr text NOT NULL,
    fidelity character varying(1) NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.auditrepr_lease (
    name text NOT NULL,
    token uuid,
    holder jsonb,
    acquired_at timestamp with time zone,
    expires_at timestamp with time zone
);
CREATE TABLE public.auditrepr_rebuildcursor (
    id smallint NOT NULL,
    selection jsonb NOT NULL,
    start_id bigint NOT NULL,
    reached_id bigint NOT NULL,
    top_id bigint NOT NULL,
    started_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    CONSTRAINT auditrepr_rebuildcursor_id_check CHECK ((id >= 0))
);
CREATE TABLE public.auditrepr_reprfailure (
    audit_log_id bigint NOT NULL,
    error_class text NOT NULL,
    message text NOT NULL,
    traceback text NOT NULL,
    attempts integer NOT NULL,
    first_failed_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    last_failed_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    next_attempt_at timestamp with time zone,
    CONSTRAINT auditrepr_reprfailure_attempts_check CHECK ((attempts >= 0))
);
CREATE TABLE public.django_migrations (
    id bigint NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);
ALTER TABLE public.django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.library_author (
    id bigint NOT NULL,
    name text NOT NULL,
    motto text
);
ALTER TABLE public.library_author ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.library_author_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.library_book (
    id bigint NOT NULL,
    title text NOT NULL,
    author_id bigint NOT NULL,
    price numeric(8,2)
);
ALTER TABLE public.library_book ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.library_book_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.library_book_tags (
    id bigint NOT NULL,
    book_id bigint NOT NULL,
    tag_id bigint NOT NULL
);
ALTER TABLE public.library_book_tags ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.library_book_tags_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.library_tag (
    id bigint NOT NULL,
    label text NOT NULL
);
ALTER TABLE public.library_tag ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.library_tag_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO public.auditrepr_auditlog VALUES (1, 'library_author', '1', NULL, 'I', '{"id": 1, "name": "Ann", "motto": null}', NULL, '{"user": "ann", "reason": "import"}', DEFAULT, NULL, 733, '733:733:', '2025-11-29 03:54:18.382582+00', '2025-11-29 03:54:18.383163+00');
INSERT INTO public.auditrepr_auditlog VALUES (2, 'library_author', '2', NULL, 'I', '{"id": 2, "name": "Bea", "motto": null}', NULL, '{"user": "ann", "reason": "import"}', DEFAULT, NULL, 734, '734:734:', '2025-11-29 03:54:18.384506+00', '2025-11-29 03:54:18.384656+00');
INSERT INTO public.auditrepr_auditlog VALUES (3, 'library_tag', '1', NULL, 'I', '{"id": 1, "label": "poems"}', NULL, '{"user": "ann", "reason": "import"}', DEFAULT, NULL, 735, '735:735:', '2025-11-29 03:54:18.385862+00', '2025-11-29 03:54:18.387038+00');
INSERT INTO public.auditrepr_auditlog VALUES (4, 'library_tag', '2', NULL, 'I', '{"id": 2, "label": "prose"}', NULL, '{"user": "ann", "reason": "import"}', DEFAULT, NULL, 736, '736:736:', '2025-11-29 03:54:18.387902+00', '2025-11-29 03:54:18.388035+00');
INSERT INTO public.auditrepr_auditlog VALUES (5, 'library_book', '1', NULL, 'I', '{"id": 1, "price": 12.50, "title": "First", "author_id": 1}', NULL, '{"user": "ann", "reason": "import"}', DEFAULT, NULL, 737, '737:737:', '2025-11-29 03:54:18.388945+00', '2025-11-29 03:54:18.3896+00');
INSERT INTO public.auditrepr_auditlog VALUES (6, 'library_book_tags', '1', NULL, 'I', '{"id": 1, "tag_id": 1, "book_id": 1}', NULL, '{"user": "ann", "reason": "import"}', DEFAULT, NULL, 738, '738:738:', '2025-11-29 03:54:18.391533+00', '2025-11-29 03:54:18.392325+00');
INSERT INTO public.auditrepr_auditlog VALUES (7, 'library_book_tags', '2', NULL, 'I', '{"id": 2, "tag_id": 2, "book_id": 1}', NULL, '{"user": "ann", "reason": "import"}', DEFAULT, NULL, 738, '738:738:', '2025-11-29 03:54:18.391533+00', '2025-11-29 03:54:18.392325+00');
INSERT INTO public.auditrepr_auditlog VALUES (8, 'library_author', '200', '2', 'U', '{"id": 200, "name": "Bea", "motto": null}', '{"id": 2}', NULL, DEFAULT, 'postgres', 739, '739:739:', '2025-11-29 03:54:18.394046+00', '2025-11-29 03:54:18.394602+00');
INSERT INTO public.auditrepr_auditlog VALUES (9, 'library_author', '3', NULL, 'I', '{"id": 3, "name": "?", "motto": null}', NULL, NULL, DEFAULT, 'postgres', 740, '740:740:', '2025-11-29 03:54:18.396389+00', '2025-11-29 03:54:18.396505+00');
INSERT INTO public.auditrepr_auditlog VALUES (10, 'library_author', '1', NULL, 'U', '{"id": 1, "name": "Anna", "motto": null}', '{"name": "Ann"}', NULL, DEFAULT, 'postgres', 741, '741:741:', '2025-11-29 03:54:18.39756+00', '2025-11-29 03:54:18.397699+00');
INSERT INTO public.auditrepr_auditlog VALUES (11, 'library_book_tags', '2', NULL, 'D', '{"id": 2, "tag_id": 2, "book_id": 1}', NULL, NULL, DEFAULT, 'postgres', 762, '762:762:', '2025-11-29 03:54:18.754571+00', '2025-11-29 03:54:18.755145+00');
INSERT INTO public.auditrepr_auditlog VALUES (12, 'library_tag', '2', NULL, 'D', '{"id": 2, "label": "prose"}', NULL, NULL, DEFAULT, 'postgres', 762, '762:762:', '2025-11-29 03:54:18.758519+00', '2025-11-29 03:54:18.759015+00');
INSERT INTO public.auditrepr_auditlog VALUES (13, 'library_book', '1', NULL, 'U', '{"id": 1, "price": 12.50, "title": "Second", "author_id": 1}', '{"title": "First"}', NULL, DEFAULT, 'postgres', 763, '763:763:', '2025-11-29 03:54:18.760179+00', '2025-11-29 03:54:18.760574+00');
INSERT INTO public.auditrepr_auditlog VALUES (14, 'library_author', '200', NULL, 'D', '{"id": 200, "name": "Bea", "motto": null}', NULL, NULL, DEFAULT, 'postgres', 764, '764:764:', '2025-11-29 03:54:18.764705+00', '2025-11-29 03:54:18.765128+00');
INSERT INTO public.auditrepr_backfillrun VALUES (1, 'backfill_reprs', '2025-11-29 03:54:18.566864+00', '2025-11-29 03:54:18.68679+00', 'library', 14129, 9, 1, 1, 'caught-up', '', 3, 0);
INSERT INTO public.auditrepr_checkpoint VALUES (1, 10, NULL, NULL, NULL, 0);
INSERT INTO public.auditrepr_coverage VALUES ('library_author', 0, 730, 'installed', 0, NULL, '{"id": null, "name": null, "motto": null}', '7713436807073584925.16384:16532.730.16531.730 16533.730.16531.730 16534.730.16531.730 16535.730.16531.730', '2025-11-29 03:54:18.349904+00');
INSERT INTO public.auditrepr_coverage VALUES ('library_book', 0, 730, 'installed', 0, NULL, '{"id": null, "price": null, "title": null, "author_id": null}', '7713436807073584925.16384:16537.730.16536.730 16538.730.16536.730 16539.730.16536.730 16540.730.16536.730', '2025-11-29 03:54:18.349904+00');
INSERT INTO public.auditrepr_coverage VALUES ('library_book_tags', 0, 730, 'installed', 0, NULL, '{"id": null, "tag_id": null, "book_id": null}', '7713436807073584925.16384:16542.730.16541.730 16543.730.16541.730 16544.730.16541.730 16545.730.16541.730', '2025-11-29 03:54:18.349904+00');
INSERT INTO public.auditrepr_coverage VALUES ('library_tag', 10, 744, 'missing', 0, NULL, '{"id": null, "label": null}', '7713436807073584925.16384:16555.744.16546.744 16556.744.16546.744 16557.744.16546.744 16558.744.16546.744', '2025-11-29 03:54:18.436151+00');
INSERT INTO public.auditrepr_instancerepr VALUES (1, 'Ann', 'E', '');
INSERT INTO public.auditrepr_instancerepr VALUES (2, 'Bea', 'E', '');
INSERT INTO public.auditrepr_instancerepr VALUES (3, 'poems', 'E', '');
INSERT INTO public.auditrepr_instancerepr VALUES (4, 'prose', 'E', '');
INSERT INTO public.auditrepr_instancerepr VALUES (5, 'First by Ann', 'E', '');
INSERT INTO public.auditrepr_instancerepr VALUES (6, 'Book_tags object (1)', 'E', '');
INSERT INTO public.auditrepr_instancerepr VALUES (7, 'Book_tags object (2)', 'E', '');
INSERT INTO public.auditrepr_instancerepr VALUES (8, 'Bea', 'E', '');
INSERT INTO public.auditrepr_instancerepr VALUES (10, 'Anna', 'E', '');
INSERT INTO public.auditrepr_lease VALUES ('backfill', NULL, NULL, NULL, NULL);
INSERT INTO public.auditrepr_rebuildcursor VALUES (1, '{"mixed": false, "since": "", "table_name": ""}', 0, 0, 10, '2025-11-29 03:54:18.748462+00');
INSERT INTO public.auditrepr_reprfailure VALUES (9, 'ValueError', 'no name', 'Traceback (most recent call last):
  File "/srv/library/auditrepr/representation.py", line 158, in _outcome
    text = _text(subject.instance, batch)
  File "/srv/library/auditrepr/representation.py", line 195, in _text
    text: Any = type(instance).__str__(instance)  # type: ignore[call-arg]  # not str(): it may be lazy
                ~~~~~~~~~~~~~~~~~~~~~~^^^^^^^^^^
  File "/srv/library/tests/upgrading/library/models.py", line 14, in __str__
    raise ValueError("no name")
ValueError: no name
', 1, '2025-11-29 03:54:18.674726+00', '2025-11-29 03:54:18.674856+00', '2025-11-29 03:59:18.674856+00');
INSERT INTO public.django_migrations VALUES (1, 'auditrepr', '0001_initial', '2025-11-29 03:54:18.241861+00');
INSERT INTO public.django_migrations VALUES (2, 'library', '0001_initial', '2025-11-29 03:54:18.296677+00');
INSERT INTO public.library_author VALUES (3, '?', NULL);
INSERT INTO public.library_author VALUES (1, 'Anna', NULL);
INSERT INTO public.library_book VALUES (1, 'Second', 1, 12.50);
INSERT INTO public.library_book_tags VALUES (1, 1, 1);
INSERT INTO public.library_tag VALUES (1, 'poems');
INSERT INTO public.library_tag VALUES (3, 'unseen');
SELECT pg_catalog.setval('public.auditrepr_auditlog_id_seq', 14, true);
SELECT pg_catalog.setval('public.auditrepr_backfillrun_id_seq', 1, true);
SELECT pg_catalog.setval('public.django_migrations_id_seq', 2, true);
SELECT pg_catalog.setval('public.library_author_id_seq', 3, true);
SELECT pg_catalog.setval('public.library_book_id_seq', 1, true);
SELECT pg_catalog.setval('public.library_book_tags_id_seq', 2, true);
SELECT pg_catalog.setval('public.library_tag_id_seq', 3, true);
ALTER TABLE ONLY public.auditrepr_auditlog
    ADD CONSTRAINT auditrepr_auditlog_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auditrepr_backfillrun
    ADD CONSTRAINT auditrepr_backfillrun_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auditrepr_checkpoint
    ADD CONSTRAINT auditrepr_checkpoint_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auditrepr_coverage
    ADD CONSTRAINT auditrepr_coverage_pkey PRIMARY KEY (table_name);
ALTER TABLE ONLY public.auditrepr_instancerepr
    ADD CONSTRAINT auditrepr_instancerepr_pkey PRIMARY KEY (audit_log_id);
ALTER TABLE ONLY public.auditrepr_lease
    ADD CONSTRAINT auditrepr_lease_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.auditrepr_rebuildcursor
    ADD CONSTRAINT auditrepr_rebuildcursor_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auditrepr_reprfailure
    ADD CONSTRAINT auditrepr_reprfailure_pkey PRIMARY KEY (audit_log_id);
ALTER TABLE ONLY public.django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.library_author
    ADD CONSTRAINT library_author_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.library_book
    ADD CONSTRAINT library_book_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.library_book_tags
    ADD CONSTRAINT library_book_tags_book_id_tag_id_c3660ce1_uniq UNIQUE (book_id, tag_id);
ALTER TABLE ONLY public.library_book_tags
    ADD CONSTRAINT library_book_tags_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.library_tag
    ADD CONSTRAINT library_tag_pkey PRIMARY KEY (id);
CREATE INDEX auditrepr_coverage_table_name_0a2272c7_like ON public.auditrepr_coverage USING btree (table_name text_pattern_ops);
CREATE INDEX auditrepr_lease_name_9fca0b12_like ON public.auditrepr_lease USING btree (name text_pattern_ops);
CREATE INDEX auditrepr_log_actor ON public.auditrepr_auditlog USING btree (actor, id) WHERE (actor IS NOT NULL);
CREATE INDEX auditrepr_log_object ON public.auditrepr_auditlog USING btree (table_name, object_id, id);
CREATE INDEX auditrepr_log_rekeyed ON public.auditrepr_auditlog USING btree (table_name, previous_object_id, id) WHERE (previous_object_id IS NOT NULL);
CREATE INDEX auditrepr_log_table ON public.auditrepr_auditlog USING btree (table_name, id);
CREATE INDEX auditrepr_log_transaction ON public.auditrepr_auditlog USING btree (transaction_id) WHERE (transaction_id IS NOT NULL);
CREATE INDEX auditrepr_repr_beginnings ON public.auditrepr_instancerepr USING btree (upper("left"(instance_repr, 100)) text_pattern_ops);
CREATE INDEX auditrepr_repr_mixed ON public.auditrepr_instancerepr USING btree (audit_log_id) WHERE ((fidelity)::text = 'M'::text);
CREATE INDEX auditrepr_reprfailure_next_attempt_at_1960eea3 ON public.auditrepr_reprfailure USING btree (next_attempt_at);
CREATE INDEX library_book_author_id_d9a3b67e ON public.library_book USING btree (author_id);
CREATE INDEX library_book_tags_book_id_7c6729bd ON public.library_book_tags USING btree (book_id);
CREATE INDEX library_book_tags_tag_id_ad3c9ecb ON public.library_book_tags USING btree (tag_id);
CREATE TRIGGER append_only_auditrepr_change BEFORE DELETE OR UPDATE ON public.auditrepr_auditlog FOR EACH ROW EXECUTE FUNCTION public.auditrepr_append_only();
CREATE TRIGGER append_only_auditrepr_truncate BEFORE TRUNCATE ON public.auditrepr_auditlog FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_append_only();
CREATE TRIGGER auditrepr_delete AFTER DELETE ON public.library_author REFERENCING OLD TABLE AS auditrepr_old FOR EACH STATEMENT WHEN ((set_config(concat('auditrepr.seen', pg_trigger_depth()), (pg_current_snapshot())::text, true) <> ''::text)) EXECUTE FUNCTION public.auditrepr_on_494e1aad9bbf061da5b39ddd70d71527();
CREATE TRIGGER auditrepr_delete AFTER DELETE ON public.library_book REFERENCING OLD TABLE AS auditrepr_old FOR EACH STATEMENT WHEN ((set_config(concat('auditrepr.seen', pg_trigger_depth()), (pg_current_snapshot())::text, true) <> ''::text)) EXECUTE FUNCTION public.auditrepr_on_daf31965c323a6f1558737ef2bd78db0();
CREATE TRIGGER auditrepr_delete AFTER DELETE ON public.library_book_tags REFERENCING OLD TABLE AS auditrepr_old FOR EACH STATEMENT WHEN ((set_config(concat('auditrepr.seen', pg_trigger_depth()), (pg_current_snapshot())::text, true) <> ''::text)) EXECUTE FUNCTION public.auditrepr_on_f4b3bfbbafd726e58a8de7d9220f3614();
CREATE TRIGGER auditrepr_delete AFTER DELETE ON public.library_tag REFERENCING OLD TABLE AS auditrepr_old FOR EACH STATEMENT WHEN ((set_config(concat('auditrepr.seen', pg_trigger_depth()), (pg_current_snapshot())::text, true) <> ''::text)) EXECUTE FUNCTION public.auditrepr_on_afab78beef73918842f231e0527fab4c();
CREATE TRIGGER auditrepr_insert AFTER INSERT ON public.library_author REFERENCING NEW TABLE AS auditrepr_new FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_494e1aad9bbf061da5b39ddd70d71527();
COMMENT ON TRIGGER auditrepr_insert ON public.library_author IS '{"name": "library_author", "fingerprint": "43a82c127decc69009ced5f434d58bfc", "triggers": 4, "excluded": []}';
CREATE TRIGGER auditrepr_insert AFTER INSERT ON public.library_book REFERENCING NEW TABLE AS auditrepr_new FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_daf31965c323a6f1558737ef2bd78db0();
COMMENT ON TRIGGER auditrepr_insert ON public.library_book IS '{"name": "library_book", "fingerprint": "f88b4263bdad249078b3ca8bc4607ba6", "triggers": 4, "excluded": []}';
CREATE TRIGGER auditrepr_insert AFTER INSERT ON public.library_book_tags REFERENCING NEW TABLE AS auditrepr_new FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_f4b3bfbbafd726e58a8de7d9220f3614();
COMMENT ON TRIGGER auditrepr_insert ON public.library_book_tags IS '{"name": "library_book_tags", "fingerprint": "5305c0359b15bd02050b81ebc15340f2", "triggers": 4, "excluded": []}';
CREATE TRIGGER auditrepr_insert AFTER INSERT ON public.library_tag REFERENCING NEW TABLE AS auditrepr_new FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_afab78beef73918842f231e0527fab4c();
COMMENT ON TRIGGER auditrepr_insert ON public.library_tag IS '{"name": "library_tag", "fingerprint": "a7207419018baad3a352e3dbd1df686c", "triggers": 4, "excluded": []}';
CREATE TRIGGER auditrepr_log BEFORE TRUNCATE ON public.auditrepr_auditlog FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_log_emptied();
CREATE TRIGGER auditrepr_truncate AFTER TRUNCATE ON public.library_author FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_494e1aad9bbf061da5b39ddd70d71527();
CREATE TRIGGER auditrepr_truncate AFTER TRUNCATE ON public.library_book FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_daf31965c323a6f1558737ef2bd78db0();
CREATE TRIGGER auditrepr_truncate AFTER TRUNCATE ON public.library_book_tags FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_f4b3bfbbafd726e58a8de7d9220f3614();
CREATE TRIGGER auditrepr_truncate AFTER TRUNCATE ON public.library_tag FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_afab78beef73918842f231e0527fab4c();
CREATE TRIGGER auditrepr_update AFTER UPDATE ON public.library_author REFERENCING OLD TABLE AS auditrepr_old NEW TABLE AS auditrepr_new FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_494e1aad9bbf061da5b39ddd70d71527();
CREATE TRIGGER auditrepr_update AFTER UPDATE ON public.library_book REFERENCING OLD TABLE AS auditrepr_old NEW TABLE AS auditrepr_new FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_daf31965c323a6f1558737ef2bd78db0();
CREATE TRIGGER auditrepr_update AFTER UPDATE ON public.library_book_tags REFERENCING OLD TABLE AS auditrepr_old NEW TABLE AS auditrepr_new FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_f4b3bfbbafd726e58a8de7d9220f3614();
CREATE TRIGGER auditrepr_update AFTER UPDATE ON public.library_tag REFERENCING OLD TABLE AS auditrepr_old NEW TABLE AS auditrepr_new FOR EACH STATEMENT EXECUTE FUNCTION public.auditrepr_on_afab78beef73918842f231e0527fab4c();
ALTER TABLE ONLY public.library_book
    ADD CONSTRAINT library_book_author_id_d9a3b67e_fk_library_author_id FOREIGN KEY (author_id) REFERENCES public.library_author(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.library_book_tags
    ADD CONSTRAINT library_book_tags_book_id_7c6729bd_fk_library_book_id FOREIGN KEY (book_id) REFERENCES public.library_book(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.library_book_tags
    ADD CONSTRAINT library_book_tags_tag_id_ad3c9ecb_fk_library_tag_id FOREIGN KEY (tag_id) REFERENCES public.library_tag(id) DEFERRABLE INITIALLY DEFERRED;
