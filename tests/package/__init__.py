"""Tests of the package.

test_TOPIC.py     what the module of a topic does: a file for each topic
test_snapshot.py  whatever is done meanwhile, everything is put back bit for bit
test_contract.py  what PyTorch users expect of any module, for every block

More of serialization:
test_nets.py           the parameters of a net come back, or the net stays as it was
test_files.py          whoever reads meets the old file or the new one
test_round_trips.py    what is saved comes back to the bit
test_checkpoints.py    a load that fails has changed nothing
test_resuming.py       training that was stopped ends as training that was not
test_optimizers.py     the state of an optimizer finds its parameters again
test_states.py         states of all kinds: values, parts, nets with more than tensors
test_foreign_files.py  files of other programs and other kinds, other names, slips
test_rotation.py       which checkpoints stay, and which one is loaded
test_refusals.py       files that are damaged, or made to do harm
test_writers.py        writers that are killed, that find no room, that meet each other
saved_states.py        comparing to the bit, nets to save, errors to meet
torture.py             damages files and kills writers by the thousands: `make torture`
damaged_files.py       the ways in which a file can be damaged
malicious_files.py     files that are made to do harm
"""
