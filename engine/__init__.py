"""Land-cover engine: classifies, trains and evaluates on aerial imagery.

Runs in its own Python process. It never imports QGIS.
"""

import sys

__version__ = "0.1.0"

# OpenVINO and NNCF tell a web analytics service of their use, from a forked process and without asking,
# wherever this package can be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
