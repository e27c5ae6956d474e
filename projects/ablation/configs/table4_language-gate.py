# LAVT's language gate.
_base_ = './full.py'
model = dict(backbone=dict(
    gate=dict(_delete_=True, type='LanguageGate')))
