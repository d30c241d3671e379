"""Users' own SQL: checked, run in a process of its own, and answered in plain words."""
