"""Land-cover engine: classifies, trains and evaluates on aerial imagery.

Runs in its own Python process. It never imports QGIS.
"""

__version__ = "0.1.0"
