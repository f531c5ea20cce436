"""The core: areas, editions, workers, events, the owner of a place, storage."""
