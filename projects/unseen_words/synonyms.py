# Licensed under the Apache License, Version 2.0.
"""Synonyms of words of the synthetic scenes, absent from their sentences."""


# Chosen before anything was measured. A word that has no single-word synonym
# in common use (left, stripes, most places) is in no group.
UNSEEN_WORDS: dict[str, dict[str, str]] = dict(
    colour=dict(
        red='crimson',
        green='emerald',
        blue='azure',
        yellow='golden',
        purple='violet',
        orange='tangerine',
        white='ivory',
        black='ebony'),
    shape=dict(
        circle='disc',
        square='box',
        triangle='pyramid',
        star='pentagram',
        diamond='rhombus',
        cross='plus'),
    relation=dict(above='over', below='beneath'),
    size=dict(small='tiny', large='huge', big='enormous'),
    pattern=dict(striped='banded', plain='solid'),
)
