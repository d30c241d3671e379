"""DuckDB lives here only: import, snapshot, readers, and the SQL that a signal becomes."""
