# Licensed under the Apache License, Version 2.0.
"""Running a neck of any origin."""

from dataclasses import replace

from torch import nn

from mmrefseg.structures import MultimodalFeatures


def run_neck(neck: nn.Module,
             features: MultimodalFeatures) -> MultimodalFeatures:
    """Run a neck on features.

    Args:
        neck (nn.Module): One of ours, or a stock neck, which takes and gives
            a tuple of maps.
        features (MultimodalFeatures): Of ``B`` pairs.

    Returns:
        MultimodalFeatures: What the neck gives; of a stock neck the maps,
        with all else as it came.
    """
    decoded = neck(features)
    if isinstance(decoded, MultimodalFeatures):
        return decoded
    return replace(features, maps=tuple(decoded))
