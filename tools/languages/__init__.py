"""The site in other languages: one English source, and a catalog of translations for each language.

blocks.py      the blocks of prose of a page: what is translated, and what stays
catalogs.py    the catalogs of a language, and a translation found in them
"""
