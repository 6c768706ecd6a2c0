"""What a large classification will take: a short measurement, and arithmetic on it."""
