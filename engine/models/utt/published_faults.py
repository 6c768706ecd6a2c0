"""What the published code of U-T&T does wrong, each fault by its own switch."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class PublishedFaults:
    """Faults of the code that the FLAIR #2 baseline was published with; all are off unless they are asked for.

    They are there to load weights that were learnt with them and to measure what they cost. Each was read in the
    source of the repository IGNF/FLAIR-2.

    Args:
        collapsed_from_first_item: The collapsed fusion gives every item of a batch the satellite summary of the first.
        modality_dropout_in_prediction: The satellite maps are left out by chance in prediction too, and for all items
            of a batch at once.
        padding_in_normalisation: The temporal encoder's first normalisation counts padded dates as measurements of
            zero, so that an answer depends on the longest series of its batch.
        zeros_are_padding: An acquisition whose pixels are all 0 is taken for padding, whatever the mask says.
        metadata_by_row: The 16 numbers of the metadata are added to the 16 rows of the deepest map, the same to all
            its channels: the north of a patch learns of them something else than its south, and other sizes fail.
        idle_layers: Layers that never reach an output: the fusion with the image itself, which the decoder skips, and
            the U-TAE's own classes.
        swapped_loss_weights: The weights of the two losses change places.
        satellite_not_turned: An aerial patch is turned and mirrored, its satellite images are not.
        constant_month: The month's sine and cosine are the same in every month.
        flat_position: Positions are divided by 1e8 before their sines, which hardly differ between places.
    """

    collapsed_from_first_item: bool = False
    modality_dropout_in_prediction: bool = False
    padding_in_normalisation: bool = False
    zeros_are_padding: bool = False
    metadata_by_row: bool = False
    idle_layers: bool = False
    swapped_loss_weights: bool = False
    satellite_not_turned: bool = False
    constant_month: bool = False
    flat_position: bool = False

    @staticmethod
    def every_one() -> PublishedFaults:
        """Return all faults together: the published code as it is."""
        return PublishedFaults(**{item.name: True for item in fields(PublishedFaults)})


NONE = PublishedFaults()
