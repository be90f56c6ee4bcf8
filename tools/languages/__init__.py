"""The site in other languages: one English source, and a catalog of translations for each language.

blocks.py    the blocks of prose of a page: what is translated, and what stays
catalogs.py  the catalogs of a language, and a translation found in them
problems.py  what is wrong with a translation
pictures.py  the words in pictures
phrases.py   the sentences of notebooks and scripts that are not on pages
messages.py  `make messages`: brings the catalogs in step with the pages
site.py      a hook of MkDocs: builds all sites
"""
