"""Reports that open in any browser and in QGIS."""
