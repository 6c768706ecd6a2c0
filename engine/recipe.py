"""The recipe of a training: every choice that a preset makes and a request can change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo


def _as_weights(value: Any) -> Any:
    if not isinstance(value, str) or value in ("none", "balanced"):
        return value
    pairs = dict(part.partition("=")[::2] for part in value.replace(" ", "").split(","))
    if not all(code.isdigit() and weight for code, weight in pairs.items()):
        raise ValueError("class weights are none, balanced, or code=weight pairs such as 1=2.0,19=0")
    return pairs


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Widths = Annotated[
    tuple[Annotated[int, Field(ge=1, le=4096)], ...],
    BeforeValidator(lambda value: value.replace(",", " ").split() if isinstance(value, str) else value),
    Field(min_length=2, max_length=8),
]
ClassWeights = Annotated[
    Literal["none", "balanced"] | dict[int, Annotated[float, Field(ge=0, allow_inf_nan=False)]],
    BeforeValidator(_as_weights),
]


class Recipe(BaseModel):
    """How a network learns. Presets fill all of it but what only a season needs; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    architecture: str = Field(
        description="Network, by its name in segmentation-models-pytorch, such as unet; or utt, U-T&T, which a season "
        "goes with."
    )
    encoder: str = Field(description="Its encoder, such as resnet34; tu- names are timm's.")
    encoder_weights: str = Field(description="Start of the encoder: imagenet, none, or a file with its state dict.")
    freeze: str = Field(
        pattern=r"^(none|encoder|[1-5])$", description="none, encoder, or how many of its first stages stay unchanged."
    )
    epochs: int = Field(ge=1, le=100_000, description="Passes over the training patches.")
    batch_size: int = Field(ge=1, le=4096, description="Patches a step, over all devices and accumulated batches.")
    accumulate: int = Field(ge=1, le=1024, description="Batches that make one step.")
    crop: int = Field(ge=0, le=4096, multiple_of=32, description="Side of the pieces learnt from; 0: whole patches.")
    repeats: int = Field(ge=1, le=10_000, description="How often an epoch draws as many pieces as there are patches.")
    sampling: Literal["uniform", "balanced"] = Field(
        description="uniform: each patch once; balanced: patches with rare classes more often."
    )
    optimizer: Literal["sgd", "adamw"] = Field(description="sgd or adamw.")
    learning_rate: float = Field(gt=0, allow_inf_nan=False, description="Highest learning rate.")
    encoder_rate: Share = Field(description="Share of the learning rate that the encoder gets.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(description="Momentum of sgd.")
    weight_decay: Amount = Field(description="Weight decay.")
    schedule: Literal["constant", "one-cycle", "plateau"] = Field(description="How the learning rate changes.")
    warm_up: Share = Field(description="one-cycle: share of the steps in which the rate rises.")
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = Field(description="plateau: factor of each reduction.")
    plateau_patience: int = Field(ge=0, description="plateau: epochs without progress before a reduction.")
    plateau_cooldown: int = Field(ge=0, description="plateau: epochs to wait after a reduction.")
    patience: int = Field(ge=0, description="Epochs without progress after which training stops; 0: never.")
    monitor: Literal["miou", "loss"] = Field(description="What says which epoch is best: miou or loss, on validation.")
    clip: Amount = Field(description="Largest norm of the gradient; 0: any.")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(description="Decay of the running mean of the weights; 0: none.")
    precision: Literal["auto", "exact", "half"] = Field(description="auto: half where the device has it; exact; half.")
    loss: Literal["cross-entropy", "cross-entropy+dice", "focal", "focal+dice"] = Field(description="Loss.")
    class_weights: ClassWeights = Field(description="none, balanced (by the counts), or code=weight pairs.")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(description="Share spread over the other classes.")
    flips: bool = Field(description="Mirror patches at random.")
    quarter_turns: bool = Field(description="Turn patches by quarter turns at random.")
    scale: Annotated[float, Field(ge=1, le=4)] = Field(description="Largest change of scale, such as 1.5; 1: none.")
    brightness: Amount = Field(description="Deviation of a patch's change of brightness, in deviations of the band.")
    contrast: Amount = Field(description="Deviation of a patch's change of contrast, as a share.")
    band_shift: Amount = Field(description="Deviation of each band's own shift, in deviations of the band.")
    band_gain: Amount = Field(description="Deviation of each band's own gain, as a share.")
    saturation: Amount = Field(description="Deviation of the change of saturation, as a share.")
    gamma: Amount = Field(description="Deviation of the logarithm of gamma.")
    blur: Share = Field(description="Share of patches that are blurred a little.")
    noise: Amount = Field(description="Largest noise, in deviations of the band.")
    satellite_weight: Amount = Field(
        1.0, description="With a season: weight of the loss of what the satellite images say alone; that of both is 1."
    )
    satellite_class_weights: ClassWeights = Field(
        "none", description="With a season: class weights of that loss: none, balanced, or code=weight pairs."
    )
    satellite_dropout: Share = Field(
        0.0,
        description="With a season: share of the patches that are learnt without it, so that the image alone will do.",
    )
    satellite_side: int = Field(
        40,
        ge=2,
        le=512,
        multiple_of=2,
        description="With a season: rows and columns of satellite pixels around a patch.",
    )
    satellite_widths: Widths = Field(
        (64, 64, 128, 128), description="With a season: channels of the satellite branch's maps, finest first."
    )
    satellite_heads: int = Field(
        16, ge=1, le=64, description="With a season: attention heads over the dates; a divisor of all satellite_widths."
    )
    clear_dates: bool = Field(
        True, description="With a season: leave out dates under snow and clouds, where files tell of them."
    )
    monthly: bool = Field(True, description="With a season: learn from the mean of each month, not from every date.")
    faults: str = Field(
        "none",
        description="With a season: faults of the published U-T&T to repeat, for comparison: none, all, or names.",
    )

    def fingerprint(self) -> str:
        """Return the recipe as JSON text with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


def _optional(field: FieldInfo) -> tuple[Any, Any]:
    parts = (field.annotation, *field.metadata)
    kind: Any = Annotated[parts] if field.metadata else field.annotation
    return kind | None, Field(None, description=f"{field.description} Default: the preset's.")


if TYPE_CHECKING:

    class RecipeOptions(BaseModel):
        """All fields of `Recipe`, each optional."""
else:
    # One definition of every choice: the request's options are the recipe's fields, each of them optional.
    RecipeOptions = create_model(
        "RecipeOptions", **{key: _optional(field) for key, field in Recipe.model_fields.items()}
    )


def chosen(options: BaseModel) -> dict[str, Any]:
    """Return the choices that a request makes, by name; those it leaves to the preset are absent."""
    return {key: value for key in Recipe.model_fields if (value := getattr(options, key)) is not None}
