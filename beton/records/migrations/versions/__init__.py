"""One module per step. A released step is never edited: a change is a further step."""
