"""What class rasters tell: areas, change, other nomenclatures."""
