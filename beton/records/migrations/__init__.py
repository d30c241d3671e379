"""The steps from an empty database to today's tables, run by ``beton.records.upgrade`` at start."""
