# Licensed under the Apache License, Version 2.0.
"""A sentence for a person where a model is not sure of its mask."""

# Mean probability over the mask below which its outline is doubtful, and
# score of existence, above the threshold, below which its being there is.
# Chosen with the packaged model for photographs (docs/photos.md): in the bands
# below (0.80 to 0.85, 0.8 to 0.9) masks have a mean IoU of 0.25 and 0.26, in
# those above (0.85 to 0.90, 0.90 to 0.95) of 0.37 and 0.34.
OUTLINE_BELOW, EXISTENCE_BELOW = 0.85, 0.9


def find_doubt(text: str,
               score: float,
               *,
               found: bool,
               existence: float | None = None,
               no_target: bool = False) -> str | None:
    """Say why a mask should not be relied on.

    Args:
        text (str): What was asked for.
        score (float): Mean probability of the referent over the mask, 0 to 1.
        found (bool): Whether the mask has any pixel.
        existence (float, optional): Score of existence, 0 to 1, of a model
            that has one.
        no_target (bool): The model says that the referent is not there.

    Returns:
        str, optional: A sentence, or None where the model is sure.

    Example:
        >>> from mmrefseg.apis.inference.doubts import find_doubt
        >>> find_doubt('the dog', 0.6, found=True)
        "Unsure which pixels are 'the dog': mean probability 0.60."
        >>> find_doubt('the dog', 0.9, found=True) is None
        True
    """
    if no_target:
        return (f"Nothing in the image seems to be '{text}' (existence "
                f'{existence or 0:.2f}).')
    if not found:
        return f"No pixel is likelier than not to be '{text}'."
    if existence is not None and existence < EXISTENCE_BELOW:
        return (f"Unsure whether '{text}' is in the image at all (existence "
                f'{existence:.2f}).')
    if score < OUTLINE_BELOW:
        return (f"Unsure which pixels are '{text}': mean probability "
                f'{score:.2f}.')
    return None
