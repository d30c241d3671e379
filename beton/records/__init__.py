"""The app database: what people made and what was proven, in SQLAlchemy on SQLite or PostgreSQL.

``database`` opens it, ``settings``, ``signals`` and ``runs`` hold the repositories, ``rows`` what they return.
Nothing here reads a clock: every time is an argument.
"""
