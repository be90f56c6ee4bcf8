"""Tests of the package.

test_TOPIC.py     the module of a topic: a file for each topic
test_diagnose_command.py  the command `d2lblocks diagnose`
test_explain.py   error messages, uncaught errors, and the command `d2lblocks`
test_snapshot.py  everything that changes after a snapshot is restored bit for bit
test_contract.py  the things that PyTorch users expect of any module, for every block

More of serialization:
test_nets.py           the parameters of a net come back, or the net stays as it was
test_files.py          anyone who reads a file gets the complete old or new one
test_round_trips.py    saved values come back bit for bit
test_checkpoints.py    a failed load changes nothing
test_resuming.py       a run that is stopped and resumed ends like one that never stopped
test_optimizers.py     the state of an optimizer is matched with the right parameters
test_states.py         states of all kinds: values, parts, nets with more than tensors
test_foreign_files.py  files of other programs and other kinds, other names, wrong arguments
test_rotation.py       which checkpoints are kept, and which one is loaded
test_refusals.py       files that are damaged or malicious
test_writers.py        writers that are killed, run out of space, or work at the same time
saved_states.py        shared by these tests: comparison bit for bit, nets to save, errors
torture.py             damages files and kills writers by the thousands: `make torture`
damaged_files.py       the ways in which a file can be damaged
malicious_files.py     files that are made to do harm
"""
