"""The formats in which ``backfill_status`` shows the state of the job."""
