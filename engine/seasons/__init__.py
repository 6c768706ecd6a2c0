"""From Sentinel-2 downloads to a folder of satellite images, one a date."""
