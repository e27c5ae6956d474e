# Licensed under the Apache License, Version 2.0.
"""Pickles that try to run code, or to use up the machine."""

import functools
import os
import pickle
import subprocess

import numpy as np
from hypothesis import strategies as st


class _Call:
    """Pickled, it is a call; loaded the standard way, the call happens."""

    def __init__(self, function, *arguments, state=None):
        self.how = (function, arguments) + ((state, ) if state else ())

    def __reduce__(self):
        return self.how


class _Named:
    """A class whose name a pickle mentions, with a state to set."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        return object.__new__, (type(self), ), self.state


def payloads(canary):
    """Name and object of what each would make the canary file, or reach for
    something that could."""
    touch = f'touch {canary}'
    call = f'open({str(canary)!r}, "w").close()'
    return {
        'os.system': _Call(os.system, touch),
        'eval': _Call(eval, call),
        'exec': _Call(exec, call),
        'compile': _Call(compile, call, 'x', 'exec'),
        'import': _Call(__import__, 'antigravity'),
        'getattr': _Call(getattr, _Call(__import__, 'os'), 'system'),
        'nested': _Call(dict, [('a', _Call(os.system, touch))]),
        'in a set': _Call(set, [_Call(eval, call)]),
        'subprocess': _Call(subprocess.call, ('touch', str(canary))),
        'Popen': _Call(subprocess.Popen, ('touch', str(canary))),
        'partial': functools.partial(os.system, touch),
        'map': _Call(list, _Call(map, eval, [call])),
        'open': _Call(open, str(canary), 'w'),
        'unpickler': _Call(pickle.loads, pickle.dumps(_Call(eval, call))),
        'numpy.load': _Call(np.load, str(canary)),
        'numpy objects': np.array([_Call(eval, call)], dtype=object),
        'numpy record': np.zeros(2, dtype=[('x', 'i4')]),
        'state': _Named({'__dict__': _Call(eval, call)}),
        'slots': _Named((None, {'x': _Call(eval, call)})),
        'operator': _Call(__import__, 'operator'),
        'lambda type': _Call(type, 'X', (), {}),
    }


def written_by_hand(canary):
    """Opcodes that ``pickle.dumps`` does not write."""
    touch = f'touch {canary}'.encode()
    return {
        'GLOBAL': b'cos\nsystem\n(S"' + touch + b'"\ntR.',
        'INST': b'(S"' + touch + b'"\nios\nsystem\n.',
        'OBJ': b'(cos\nsystem\nS"' + touch + b'"\no.',
        'posix': b'cposix\nsystem\n(S"' + touch + b'"\ntR.',
        'STACK_GLOBAL': b'\x80\x04\x8c\x02os\x8c\x06system\x93\x8c' +
        bytes([len(touch)]) + touch + b'\x85R.',
        'dotted': b'\x80\x04\x8c\x08builtins\x8c\x0deval.__call__\x93\x8c\x01'
        b'1\x85R.',
        'EXT1': b'\x80\x02\x82\x01.',
        'EXT4': b'\x80\x02\x84\xff\xff\xff\x7f.',
        'PERSID': b'Pos.system\n.',
        'BINPERSID': b'\x80\x02K\x01Q.',
        'NEXT_BUFFER': b'\x80\x05\x97.',
        'BUILD on an allowed name': b'cnumpy\nndarray\n}S"__class__"\ncos\n'
        b'system\nsb.',
        'allowed name as a class': b'\x80\x02cnumpy\nndarray\n)\x81.',
        'dtype from text': b'cnumpy\ndtype\n(S"O8"\nI0\nI1\ntR.',
        'bytes of a number': b'\x80\x03cbuiltins\nbytes\nJ\xff\xff\xff\x7f'
        b'\x85R.',
        'memo of 2 GB': b'\x80\x02]r\x00\x00\x00\x08.',
        'memo of 64 GB': b'\x80\x02]r\xff\xff\xff\xff.',
        'text of 2 GB': b'\x80\x02X\x00\x00\x00\x7fred.',
        'number of 2 GB': b'\x80\x02\x8b\xff\xff\xff\x7f1.',
        'bytes of 16 EB': b'\x80\x04\x8e' + b'\xff' * 7 + b'\x7f1.',
        'frame of 16 EB': b'\x80\x04\x95' + b'\xff' * 7 + b'\x7f1.',
        'list of itself': b'\x80\x02]q\x00h\x00a.',
        'dict of itself': b'\x80\x02}q\x00K\x01h\x00s.',
        'many pops': b'0' * 100,
        'array of a large shape': b'\x80\x02cnumpy._core.numeric\n_frombuffer'
        b'\n(C\x01aX\x02\x00\x00\x00u1J\xff\xff\xff\x7f\x85X\x01\x00\x00\x00'
        b'CtR.',
    }


@st.composite
def hostile_refs(draw, make_refs, canary):
    """Bytes of a refs file with something hostile in it; its name."""
    protocol = draw(st.integers(0, pickle.HIGHEST_PROTOCOL))
    if draw(st.booleans()):
        by_hand = written_by_hand(canary)
        name = draw(st.sampled_from(sorted(by_hand)))
        content = by_hand[name]
        if draw(st.booleans()):
            # In the middle of refs: a list of refs and of the payload.
            start = pickle.dumps(make_refs(), 2)
            start = start[:-1]  # without STOP; the refs stay on the stack
            content = start + b'0' + content.removeprefix(
                content[:2] if content[:1] == b'\x80' else b'')
        return content, name
    chosen = payloads(canary)
    name = draw(st.sampled_from(sorted(chosen)))
    refs = make_refs()
    ref = refs[draw(st.integers(0, len(refs) - 1))]
    sentence = ref['sentences'][0]
    place = draw(st.sampled_from(('end', 'id', 'extra', 'text', 'key')))
    if place == 'end':
        refs.append(chosen[name])
    elif place == 'id':
        ref['ref_id'] = chosen[name]
    elif place == 'extra':
        ref['more'] = chosen[name]
    elif place == 'text':
        sentence['raw'] = chosen[name]
    else:
        sentence['bbox'] = {1: [chosen[name]]}
    return pickle.dumps(refs, protocol), name
