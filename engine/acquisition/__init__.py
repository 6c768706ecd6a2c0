"""Published data sets: fetched over lines that break, unpacked as they come, checked."""
