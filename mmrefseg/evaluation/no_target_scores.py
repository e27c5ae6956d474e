# Licensed under the Apache License, Version 2.0.
"""Scores of data with no-target sentences."""

from collections.abc import Callable, Sequence
from typing import Any

from .conventions import Convention
from .counts import Counts
from .pointing import pointing_score
from .scores import iou, mean, score


def score_sentences(items: Sequence[Counts],
                    convention: Convention) -> dict[str, float]:
    """All scores of a convention, in percent.

    With rules for no-target sentences, oIoU, mIoU and P@X are those of the
    sentences with a target; else of all sentences.

    Args:
        items (sequence[Counts]): One for each sentence, at least one.
        convention (Convention): What to compute.

    Returns:
        dict[str, float]: A score that no sentence contributes to (N-acc where
        every sentence has a target) is absent.
    """
    scored = items
    if convention.no_target:
        scored = [x for x in items if not x.no_target]
    out: dict[str, float] = {}
    if scored:
        out.update(
            score([x.scored_areas for x in scored], convention.thresholds,
                  convention.precision_compare, convention.empty_iou))
    out.update(pointing_score(items))
    for rule in convention.no_target:
        out.update(RULES[rule](items))
    return out


def rela_scores(items: Sequence[Counts]) -> dict[str, float]:
    """gIoU, cIoU, N-acc and T-acc as ReLA (Liu et al., "GRES", CVPR 2023)
    computes them on gRefCOCO.

    A no-target sentence has IoU 1 and adds no area if it is predicted as
    such; else it has IoU 0 and adds the predicted area to the unions. A
    sentence with a target that is predicted as no-target has intersection 0,
    and its union remains that of the two masks.
    """
    areas = [rela_areas(x) for x in items]
    ious = [
        float(x.pred_no_target) if x.no_target else iou(*areas[i])
        for i, x in enumerate(items)
    ]
    out = dict(
        gIoU=100 * mean(ious),
        cIoU=100 * iou(sum(i for i, _ in areas), sum(u for _, u in areas)))
    rejected = [x.pred_no_target for x in items if x.no_target]
    accepted = [not x.pred_no_target for x in items if not x.no_target]
    if rejected:
        out['N-acc'] = 100 * sum(rejected) / len(rejected)
    if accepted:
        out['T-acc'] = 100 * sum(accepted) / len(accepted)
    return out


def rela_areas(x: Counts) -> tuple[int, int]:
    """The intersection and the union of a sentence that ReLA's cIoU sums."""
    if x.no_target:
        return 0, 0 if x.pred_no_target else x.union
    return 0 if x.pred_no_target else x.intersection, x.union


def rris_scores(items: Sequence[Counts]) -> dict[str, float]:
    """mRR, rIoU and the mIoU over refs of R-RIS (Wu et al., "Towards Robust
    Referring Image Segmentation", TIP 2024; RefSegformer).

    All three are means over refs. Of a ref, mRR takes the share of its
    no-target sentences whose mask is empty; rIoU takes I / (U + F) with I and
    U summed over the sentences with a target and F the area predicted for
    the others; ``mIoU_ref`` takes the mean of I / U over the sentences with a
    target. A ref counts in the means for which it has a sentence.
    """
    refs: dict[Any, list[Counts]] = {}
    for x in items:
        refs.setdefault(x.ref, []).append(x)
    found: dict[str, list[float]] = {'mRR': [], 'rIoU': [], 'mIoU_ref': []}
    for members in refs.values():
        true = [x.scored_areas for x in members if not x.no_target]
        false = [x.scored_areas[1] for x in members if x.no_target]
        if false:
            found['mRR'].append(false.count(0) / len(false))
        if true:
            found['rIoU'].append(
                iou(sum(i for i, _ in true),
                    sum(u for _, u in true) + sum(false)))
            found['mIoU_ref'].append(mean([iou(i, u) for i, u in true]))
    return {key: 100 * mean(x) for key, x in found.items() if x}


# The scores of rris_scores: means over refs.
RULES_OF_REFS = ('mRR', 'rIoU', 'mIoU_ref')
RULES: dict[str, Callable[[Sequence[Counts]], dict[str, float]]] = {
    'rela': rela_scores,
    'rris': rris_scores,
}
