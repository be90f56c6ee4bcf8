"""`make corpus`: how many mistakes does `diagnose` find, and how often is it wrong?

The same nets also go through two other tools, to compare.

command.py   the command: tasks, verdicts, the tables
nets.py      one net of another library through `diagnose`
peers.py     a net through torchtest2 and torch-audit
gallery.py   each mistake of tests/gallery, and its twin, through all three tools

triaged.toml says of each finding on a real net whether it is true. The nets are those of tools/real_nets/,
and so are the processes in which they run and the file in which their results are kept.
"""
