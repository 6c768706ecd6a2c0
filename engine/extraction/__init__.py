"""From imagery and labels to a data set of patches."""
