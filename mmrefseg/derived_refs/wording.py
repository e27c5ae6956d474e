# Licensed under the Apache License, Version 2.0.
"""Words for what is said of a thing, as tables.

'{photo}' stands for one of ``PHOTOS``, '{who}' for 'who' or 'that', '{is}'
for 'is' or 'are'. A word that stands more than once is chosen more often.
"""

PHOTOS = ('picture', 'photo', 'image', 'frame', 'scene')
NUMBERS = {2: 'two', 3: 'three', 4: 'four', 5: 'five', 6: 'six'}

SIDE_BEFORE = {
    'left': ('left', 'left', 'left', 'left-hand', 'left hand'),
    'right': ('right', 'right', 'right', 'right-hand', 'right hand'),
    'top': ('top', 'top', 'upper'),
    'bottom': ('bottom', 'bottom', 'lower'),
}
_ACROSS_AFTER = ('on the {x}', 'on the {x}', 'on the {x} side', 'on {x}',
                 'on {x}', 'on {x} side', 'at {x}', 'to the {x}',
                 'at the {x}', '{x}', '{x}', '{x} side', 'on the {x}-hand '
                 'side', 'on the {x} of the {photo}', 'on the {x} side of '
                 'the {photo}', 'to the {x} side', 'in the {x} part',
                 '{who} {is} on the {x}', '{who} {is} on the {x} side')
SIDE_AFTER = {
    'left': tuple(words.replace('{x}', 'left') for words in _ACROSS_AFTER),
    'right': tuple(words.replace('{x}', 'right') for words in _ACROSS_AFTER),
    'top': ('at the top', 'at the top', 'at top', 'on top', 'on the top',
            'up top', 'top', 'at the top of the {photo}',
            'in the upper part', 'in the upper part of the {photo}',
            'in the top part', 'towards the top', '{who} {is} at the top'),
    'bottom': ('at the bottom', 'at the bottom', 'at bottom', 'on bottom',
               'on the bottom', 'bottom', 'at the bottom of the {photo}',
               'in the lower part', 'in the lower part of the {photo}',
               'in the bottom part', 'towards the bottom',
               '{who} {is} at the bottom'),
}
MOST_BEFORE = {
    'left': ('leftmost', 'leftmost', 'left-most', 'left most',
             'furthest left', 'farthest left'),
    'right': ('rightmost', 'rightmost', 'right-most', 'right most',
              'furthest right', 'farthest right'),
    'top': ('topmost', 'uppermost', 'highest', 'top', 'top most'),
    'bottom': ('bottommost', 'lowermost', 'lowest', 'bottom', 'bottom most'),
}
_ACROSS_MOST = ('furthest to the {x}', 'farthest {x}', 'furthest {x}',
                '{who} {is} the furthest to the {x}',
                'closest to the {x} edge', 'nearest to the {x} edge',
                'most to the {x}', 'furthest on the {x}',
                'farthest to the {x}', 'first from the {x}',
                'first from {x}')
MOST_AFTER = {
    'left': tuple(words.replace('{x}', 'left') for words in _ACROSS_MOST),
    'right': tuple(words.replace('{x}', 'right') for words in _ACROSS_MOST),
    'top': ('nearest to the top', 'closest to the top', 'highest up',
            '{who} {is} highest up', 'nearest the top edge'),
    'bottom': ('nearest to the bottom', 'closest to the bottom',
               'lowest down', '{who} {is} lowest down',
               'nearest the bottom edge'),
}
FAR_AFTER = ('on the far {x}', 'at the far {x}', 'far {x}', 'on far {x}',
             'all the way to the {x}', 'all the way on the {x}',
             'on the far {x} side', 'at far {x}', 'to the far {x}',
             'far over on the {x}')
HALF_AFTER = ('in the {x} half', 'in the {x} half of the {photo}',
              '{who} {is} in the {x} half', 'within the {x} half')
HALF = {
    'left': ('left', ),
    'right': ('right', ),
    'top': ('upper', 'top'),
    'bottom': ('lower', 'bottom'),
}
ORDINALS = {
    'second': ('second', '2nd'),
    'third': ('third', '3rd'),
    'fourth': ('fourth', '4th')
}
ORDINAL_FROM = ('from the {x}', 'from the {x}', 'from {x}', 'from {x}',
                'from the {x} side', 'counting from the {x}',
                'if you count from the {x}')
MIDDLE_BEFORE = ('middle', 'middle', 'center', 'central', 'centre')
MIDDLE_AFTER = ('in the middle', 'in the middle', 'in the center',
                'in middle', 'middle', 'in the middle of the three',
                'between the other two', 'in between', 'in the centre')
CENTRE_BEFORE = ('middle', 'center', 'central', 'centre')
CENTRE_AFTER = ('in the middle', 'in the center', 'in the centre', 'in middle',
                'in center', 'at the center', 'in the middle of the {photo}',
                'in the center of the {photo}',
                'in the centre of the {photo}')
CORNER = {'top': ('top {x}', 'upper {x}'), 'bottom': ('bottom {x}',
                                                      'lower {x}')}
CORNER_AFTER = ('at the {c}', 'in the {c}', 'on the {c}', '{c}', '{c}',
                'on {c}', 'at {c}', 'in {c}', 'in the {c} of the {photo}',
                'in the {c} part', '{who} {is} in the {c}')
IN_CORNER = ('in the {c} corner', 'in the {c} corner of the {photo}',
             '{c} corner', 'in {c} corner', 'at the {c} corner')
SIZE_BEFORE = {
    'largest': ('largest', 'biggest'),
    'smallest': ('smallest', 'smallest', 'littlest', 'tiniest'),
    'larger': ('larger', 'bigger', 'big', 'large'),
    'smaller': ('smaller', 'smaller', 'small', 'little'),
}
SIZE_AFTER = {
    'largest': ('{who} {is} the largest', '{who} {is} the biggest',
                '{who} {is} largest', 'that takes up the most space',
                'of the largest size', 'that covers the most of the {photo}'),
    'smallest': ('{who} {is} the smallest', '{who} {is} smallest',
                 'that takes up the least space', 'of the smallest size',
                 'that covers the least of the {photo}'),
    'larger': ('{who} {is} larger', '{who} {is} bigger',
               '{who} {is} the larger one', '{who} {is} the bigger one'),
    'smaller': ('{who} {is} smaller', '{who} {is} the smaller one',
                '{who} {is} the little one'),
}
CLOTHES = ('in {x}', 'in {x}', 'wearing {x}', 'dressed in {x}',
           'in {x} clothes', 'with {x} clothes', '{who} {is} wearing {x}')
COLOUR_AFTER = ('{who} {is} {x}', 'of {x} colour')

_BESIDE = ('to the {x} of', 'to the {x} of', '{x} of', '{x} of',
           'on the {x} of', 'on the {x} side of', 'at the {x} of',
           'to the {x} side of', 'at the {x} side of',
           '{who} {is} to the {x} of', '{who} {is} on the {x} of',
           'further {x} than')
RELATION = {
    'left': tuple(words.replace('{x}', 'left') for words in _BESIDE),
    'right': tuple(words.replace('{x}', 'right') for words in _BESIDE),
    'above': ('above', 'above', 'higher than', 'higher up than',
              'further up than', '{who} {is} above', '{who} {is} higher than'),
    'below': ('below', 'below', 'lower than', 'lower down than',
              'further down than', '{who} {is} below',
              '{who} {is} lower than'),
    'under': ('under', 'below', 'beneath', 'underneath', '{who} {is} under'),
    'next to': ('next to', 'next to', 'beside', 'by', 'near', 'alongside',
                'adjacent to', 'right next to', 'at the side of', 'close to',
                'right beside', '{who} {is} next to', '{who} {is} beside'),
    'closest': ('closest to', 'nearest to', 'nearest', 'closest to',
                '{who} {is} closest to', '{who} {is} nearest to',
                'at the shortest distance from'),
    'farthest': ('farthest from', 'furthest from', 'farthest away from',
                 'furthest away from', '{who} {is} farthest from',
                 'most distant from'),
    'on': ('on', 'on', 'on top of', '{who} {is} on'),
    'riding': ('on', 'on', '{who} {is} on', 'riding', '{who} {is} riding'),
    'standing on': ('on', 'on', '{who} {is} on'),
}
CLOSEST_BEFORE = ('closest', 'nearest')
WITH = {
    'with': ('with', 'with', '{who} {has}', 'together with'),
    'without': ('without', 'without', 'with no', '{who} {has} no'),
    'next to a': ('next to', 'beside', 'near', 'by', 'close to',
                  'right next to', '{who} {is} next to'),
}
NO_ARTICLE_AFTER = ('with no', ' no')

REQUESTS = (
    'please segment {np}', 'segment {np}', 'find {np}', 'show me {np}',
    'select {np}', 'highlight {np}', 'mark {np}', 'point out {np}',
    'where {is} {np}?', 'where {is} {np}', 'can you find {np}?',
    'could you segment {np}, please?', 'mask out {np}', 'locate {np}',
    'please find {np} in this {photo}', 'i want {np}', 'look for {np}',
    'cut out {np}', 'give me the mask of {np}', 'outline {np}',
    'can you show me where {np} {is}?', 'i am looking for {np}',
    'which pixels belong to {np}?', '{np}, please', 'pick {np}',
    'could you point to {np}?', 'show {np}', 'would you mark {np}?',
    'what pixels show {np}?', 'which part of the {photo} shows {np}?',
    'the mask of {np}', 'i would like {np}', 'get {np}', 'choose {np}',
    'please outline {np} for me', 'i need {np} cut out',
    'where in the {photo} {is} {np}?', 'take {np}', 'separate {np} from the '
    'rest', 'only {np}', 'just {np}')
STATEMENTS = ('{np} in the {photo}', '{np} in this {photo}',
              'in this {photo}, {np}', 'in the {photo}: {np}')
EXISTS = ('there is {a}', 'i see {a}', 'i can see {a}')
