"""The season of a patch: satellite images of many dates over the same ground."""
