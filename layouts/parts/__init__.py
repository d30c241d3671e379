"""Factories that two pages or more use: cards, forms, figures, grids, notices, tables, buttons."""
