"""Classification by several processes, on one computer or many, under Dask; only imported when asked for."""
