"""The bare training step: the same network, loss and optimizer over tensors that lie ready in memory.

    python benchmarks/bare_training.py --batches 12 [--device cpu] [--precision exact|half]

Prints the patches learnt from per second.
"""

from __future__ import annotations

import argparse
import time

import torch

from engine.models.architecture import build_network

PATCH, BANDS, CLASSES, BATCH = 512, 5, 19, 4
ARCHITECTURE, ENCODER = "unet", "resnet34"
WARM_UP = 2

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="exact", choices=["exact", "half"])
    options = parser.parse_args()
    device = torch.device(options.device)
    network = build_network(ARCHITECTURE, ENCODER, BANDS, CLASSES).to(device)
    network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    images = torch.randn(BATCH, BANDS, PATCH, PATCH, device=device).contiguous(memory_format=torch.channels_last)
    targets = torch.randint(0, CLASSES, (BATCH, PATCH, PATCH), device=device)
    for batch in range(options.batches + WARM_UP):
        if batch == WARM_UP:
            began = time.monotonic()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "half"):
            logits = network(images)
        torch.nn.functional.cross_entropy(logits.float(), targets, ignore_index=255).backward()
        optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    print(f"rate {BATCH * options.batches / (time.monotonic() - began):.4f}")
