# Licensed under the Apache License, Version 2.0.
"""Words that mean what words of the scenes mean, and are not among them."""


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
