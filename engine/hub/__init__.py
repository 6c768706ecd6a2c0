"""Files of the model hub: found, fetched so that a broken line costs nothing, checked."""
