"""Checkpoints in the layout of FLAIR-HUB, made from our networks' tensors."""

from __future__ import annotations

ENCODER = "model.encoders.AERIAL_RGBI.seg_model."
DECODER = "model.main_decoders.AERIAL_LABEL-COSIA.seg_model."


def hub_state(network, channels=3):
    """Return a state dict as FLAIR-HUB saves one: with what a network of one input does not use."""
    import torch

    state = {}
    for name, tensor in network.state_dict().items():
        own = name.startswith("encoder.")
        state[ENCODER + name[len("encoder.") :] if own else DECODER + name] = tensor.clone()
    state["criterion.AERIAL_LABEL-COSIA.weight"] = torch.ones(19)
    for stage, width in enumerate(network.encoder.out_channels[2:]):
        state[f"model.fusion_handler.conv_f.{stage}.weight"] = torch.zeros(width, width, 1, 1)
        state[f"model.fusion_handler.conv_f.{stage}.bias"] = torch.zeros(width)
    if hasattr(network.decoder, "fpn_stages"):
        unused = DECODER + "decoder.fpn_stages.4.skip_conv."
        state[unused + "0.weight"] = torch.zeros(256, 1, 1, 1)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{unused}1.{part}"] = torch.zeros(256)
        state[f"{unused}1.num_batches_tracked"] = torch.tensor(0)
    return state
