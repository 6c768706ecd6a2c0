"""Files in S3-compatible storage: who may read them, where they are, how they get there."""
