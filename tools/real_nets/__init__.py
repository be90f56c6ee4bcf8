"""`make real-nets`: tries the package on nets and optimizers of other libraries, and tabulates what passes.

command.py    the command: which tasks, what is explained, the table
runs.py       each task in a forked process, with limits; results in a file of JSON lines
battery.py    what is tried on each net
training.py   what is tried with each optimizer, scheduler, wrapper and dtype
resuming.py   a run that is stopped and resumed, beside one that is not
digests.py    values compared to the bit
libraries/    one file per library, which only builds nets

explained.toml lists the failures that are known, and why. constraints.txt pins the libraries.

The nets alone, for another tool:

    from tools.real_nets.libraries import real_nets

    for name, build, inputs in real_nets("timm"):
        net = build()
        args, kwargs = inputs(net)
"""
