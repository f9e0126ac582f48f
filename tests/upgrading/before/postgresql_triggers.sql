-- What the earlier version notes of its triggers once it has installed them.
UPDATE public.auditrepr_coverage AS coverage SET triggers = found.identity
FROM (
    SELECT class.relname, concat(
        (SELECT system_identifier FROM pg_control_system()), '.',
        (SELECT oid FROM pg_database WHERE datname = current_database()), ':',
        string_agg(concat(trigger.oid, '.', trigger.xmin, '.', tgfoid, '.', pg_proc.xmin), ' '
            ORDER BY trigger.oid)
    ) AS identity
    FROM pg_trigger AS trigger
    JOIN pg_proc ON pg_proc.oid = tgfoid
    JOIN pg_class AS class ON class.oid = tgrelid
    WHERE NOT tgisinternal AND tgname LIKE 'auditrepr\_%' AND tgname <> 'auditrepr_log'
    GROUP BY class.oid, relname
) AS found
WHERE found.relname = coverage.table_name;
