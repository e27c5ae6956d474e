# Licensed under the Apache License, Version 2.0.
"""What things commonly do with each other, by category: lie on, ride, hold.

Boxes that overlap say little; boxes of a book and a table that overlap say
that the book lies on the table.
"""

# What people wear, carry or do sports with: touching them is having it.
GEAR = frozenset(
    ('backpack', 'umbrella', 'handbag', 'tie', 'suitcase', 'frisbee', 'skis',
     'snowboard', 'sports ball', 'kite', 'baseball bat', 'baseball glove',
     'skateboard', 'surfboard', 'tennis racket'))
# What people have before them, and others beside them have as well.
_SMALL = frozenset(
    ('bottle', 'wine glass', 'cup', 'fork', 'knife', 'spoon', 'banana',
     'apple', 'sandwich', 'orange', 'hot dog', 'pizza', 'donut', 'cake',
     'laptop', 'remote', 'cell phone', 'book', 'scissors', 'teddy bear',
     'hair drier', 'toothbrush'))
_SERVED = frozenset(
    ('bottle', 'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl',
     'banana', 'apple', 'sandwich', 'orange', 'broccoli', 'carrot',
     'hot dog', 'pizza', 'donut', 'cake', 'laptop', 'mouse', 'remote',
     'keyboard', 'cell phone', 'book', 'vase', 'scissors', 'teddy bear',
     'potted plant', 'tv', 'clock', 'handbag', 'backpack', 'suitcase'))
_FOOD = frozenset(
    ('banana', 'apple', 'sandwich', 'orange', 'broccoli', 'carrot',
     'hot dog', 'pizza', 'donut', 'cake', 'spoon', 'fork'))
_SURFACES = frozenset(('dining table', 'bed', 'couch', 'bench', 'chair'))
_LYING = frozenset(('person', 'cat', 'dog', 'bird', 'teddy bear'))
_RIDDEN = frozenset(('bicycle', 'motorcycle', 'horse', 'elephant'))
_STOOD_ON = frozenset(('skateboard', 'surfboard', 'snowboard', 'skis'))
# Shares of a thin ring around the thing had that the owner's mask covers.
TOUCHED, BEFORE, UPON = 0.06, 0.35, 0.5


def supports(thing: str, support: str) -> bool:
    """Whether one category is commonly put on another."""
    return support in _SURFACES and thing != support and (
        thing in _SERVED or (thing in _LYING and support != 'dining table'))


def rides(rider: str, vehicle: str) -> bool:
    """Whether one category commonly sits on the back of another."""
    return rider == 'person' and vehicle in _RIDDEN


def carries(rider: str, vehicle: str) -> bool:
    """Whether one category commonly rides or stands on another."""
    return rider == 'person' and vehicle in _RIDDEN | _STOOD_ON


def may_have(owner: str, thing: str) -> bool:
    """Whether one category is said to be 'with' another."""
    if owner == 'person':
        return thing in GEAR | _SMALL
    if owner == 'bowl':
        return thing in _FOOD
    return owner in ('dining table', 'bed', 'couch',
                     'bench') and thing in _SERVED


def contact_needed(owner: str, thing: str) -> float:
    """How far the owner's mask must surround the thing."""
    if owner == 'person':
        return TOUCHED if thing in GEAR else BEFORE
    return UPON
