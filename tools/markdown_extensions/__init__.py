"""Python-Markdown extensions of the site; mkdocs.yml lists them, and MkDocs and Zensical both load them.

api_links.py    the name of an API in prose is a link
details.py      solutions fold, in lists too
code_labels.py  labels above snippets, and output that looks like output
translate.py    the prose in another language
light_code.py   code without the spans that have no color
"""
