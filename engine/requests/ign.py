"""IGN's own configuration files."""

from __future__ import annotations

from pydantic import Field

from engine.requests.base import Request


class FlairRequest(Request):
    """Train, predict and score as IGN's flair-1-config.yaml says."""

    conf: str = Field(description="IGN's configuration file.")
    published_behaviour: bool = Field(False, description="Predict as IGN's tool: let classes of weight 0 win.")
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    overwrite: bool = Field(False, description="Replace existing results once the new ones are complete.")


class FlairDetectRequest(Request):
    """Classify a raster as IGN's flair-1-config-detect.yaml says."""

    conf: str = Field(description="IGN's configuration file, of FLAIR-1 or of FLAIR-HUB's zonal detection.")
    published_behaviour: bool = Field(
        False, description="Do as IGN's tool to the bit: its windows, zeros beyond the edge, no class masked."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    overwrite: bool = Field(False, description="Replace an existing output once the new one is complete.")
