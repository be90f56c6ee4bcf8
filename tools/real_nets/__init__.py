"""`make real-nets`: try the package on nets and optimizers of other libraries, and tabulate the results.

command.py    the command: tasks, explanations, the table
runs.py       each task in a forked process, with limits; results in a file of JSON lines
battery.py    the checks of each net
training.py   the checks of each optimizer, scheduler, wrapper and dtype
resuming.py   a run that is stopped and resumed, compared with one that is not
digests.py    values compared bit for bit
libraries/    one file per library, which only builds nets

explained.toml lists the known failures and their reasons. constraints.txt pins the libraries.

To use the nets alone, in another tool:

    from tools.real_nets.libraries import real_nets

    for name, build, inputs in real_nets("timm"):
        net = build()
        args, kwargs = inputs(net)
"""
