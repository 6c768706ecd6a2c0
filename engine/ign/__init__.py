"""IGN's own configuration files: what they say, in this engine's terms."""
