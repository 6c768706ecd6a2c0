"""The part that runs inside QGIS. It never imports the engine, torch or rasterio."""
