# Licensed under the Apache License, Version 2.0.
"""Scores of data in which some sentences mean nothing."""

from collections.abc import Callable, Sequence
from typing import Any

from .conventions import Convention
from .counts import Counts
from .scores import iou, mean, score


def score_sentences(items: Sequence[Counts],
                    convention: Convention) -> dict[str, float]:
    """All scores that a convention asks for, in percent.

    Where it has rules for sentences that mean nothing, oIoU, mIoU and P@X
    are those of the sentences that mean something; else of all.

    Args:
        items (sequence[Counts]): One for each sentence, at least one.
        convention (Convention): What to compute.

    Returns:
        dict[str, float]: A score of which no sentence can tell (N-acc where
        every sentence means something) is not there.
    """
    asked = items
    if convention.no_target:
        asked = [x for x in items if not x.means_nothing]
    out: dict[str, float] = {}
    if asked:
        out.update(
            score([x.areas for x in asked], convention.thresholds,
                  convention.precision_compare, convention.empty_iou))
    for rule in convention.no_target:
        out.update(RULES[rule](items))
    return out


def rela_scores(items: Sequence[Counts]) -> dict[str, float]:
    """gIoU, cIoU, N-acc and T-acc as ReLA (Liu et al., "GRES", CVPR 2023)
    computes them on gRefCOCO.

    A sentence that means nothing has IoU 1 and adds no area if the
    prediction says so; else it has IoU 0 and adds the predicted area to the
    unions. One that means something and is said to mean nothing has
    intersection 0, and its union is kept as the two masks have it.
    """
    areas = [rela_areas(x) for x in items]
    ious = [
        float(x.says_nothing) if x.means_nothing else iou(*areas[i])
        for i, x in enumerate(items)
    ]
    out = dict(
        gIoU=100 * mean(ious),
        cIoU=100 * iou(sum(i for i, _ in areas), sum(u for _, u in areas)))
    nothing = [x.says_nothing for x in items if x.means_nothing]
    something = [not x.says_nothing for x in items if not x.means_nothing]
    if nothing:
        out['N-acc'] = 100 * sum(nothing) / len(nothing)
    if something:
        out['T-acc'] = 100 * sum(something) / len(something)
    return out


def rela_areas(x: Counts) -> tuple[int, int]:
    """The intersection and the union of a sentence that ReLA's cIoU sums."""
    if x.means_nothing:
        return 0, 0 if x.says_nothing else x.union
    return 0 if x.says_nothing else x.intersection, x.union


def rris_scores(items: Sequence[Counts]) -> dict[str, float]:
    """mRR, rIoU and the mIoU over refs of R-RIS (Wu et al., "Towards Robust
    Referring Image Segmentation", TIP 2024; RefSegformer).

    All three are means over refs. Of a ref, mRR takes the share of its
    sentences that mean nothing for which the mask stays empty; rIoU takes
    I / (U + F) with I and U summed over the sentences that mean something
    and F the area predicted for the others; ``mIoU_ref`` takes the mean of
    I / U over the sentences that mean something. A ref counts in the means
    for which it has a sentence.
    """
    refs: dict[Any, list[Counts]] = {}
    for x in items:
        refs.setdefault(x.ref, []).append(x)
    found: dict[str, list[float]] = {'mRR': [], 'rIoU': [], 'mIoU_ref': []}
    for members in refs.values():
        true = [x.areas for x in members if not x.means_nothing]
        false = [x.areas[1] for x in members if x.means_nothing]
        if false:
            found['mRR'].append(false.count(0) / len(false))
        if true:
            found['rIoU'].append(
                iou(sum(i for i, _ in true),
                    sum(u for _, u in true) + sum(false)))
            found['mIoU_ref'].append(mean([iou(i, u) for i, u in true]))
    return {key: 100 * mean(x) for key, x in found.items() if x}


# What rris_scores gives: means over refs.
RULES_OF_REFS = ('mRR', 'rIoU', 'mIoU_ref')
RULES: dict[str, Callable[[Sequence[Counts]], dict[str, float]]] = {
    'rela': rela_scores,
    'rris': rris_scores,
}
