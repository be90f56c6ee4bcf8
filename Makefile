# Each target is described by its ## comment; `make` alone lists them.
# PORT=8001 make serve          another port
# PYTHON=python3.12 make test   another Python; the default is the one that made .venv, or python3
# UV= make test                 pip, even if uv is on the path
# LANG=zh-TW make serve         one language of en, zh-CN and zh-TW

PORT ?= 8000
BIN := .venv/bin
# The language of the shell, such as en_US.UTF-8, is none of these.
ONE := $(firstword $(filter en zh-CN zh-TW,$(LANG)))
CONFIG := mkdocs$(addprefix .,$(ONE)).yml
FOLDER := $(filter-out en,$(ONE))
PYTHON ?= $(or $(wildcard $(BIN)/python),python3)

# mkdocs-material announces the end of mkdocs 1 in every build; its successor is on trial in pyproject.toml.
export NO_MKDOCS_2_WARNING := 1

.PHONY: help serve test test-fast site offline zensical messages update gpu-record site-record bench torture mutants real-nets corpus clean docs-venv test-venv bench-venv zensical-venv real-nets-venv

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1	/p' $(MAKEFILE_LIST)

serve: docs-venv ## read the site at http://127.0.0.1:8000, reloaded whenever a page changes: LANG=zh-TW
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT)))' 2>/dev/null || \
	  { echo "Port $(PORT) cannot be had on 127.0.0.1 (is it taken?): choose another, as in \`make serve PORT=8001\`." >&2; exit 1; }
	@SITE_URL=http://127.0.0.1:$(PORT)/$(addsuffix /,$(FOLDER)) \
	  $(BIN)/python -m mkdocs serve --config-file $(CONFIG) --dev-addr 127.0.0.1:$(PORT)

# A test run starts many Pythons: let them share compiled files, whatever the settings of the shell are.
test: test-venv ## run all checks: lint, types, unit tests, every snippet, the site
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

test-fast: test-venv ## test the pages and topics that differ from the last commit, or from another: SINCE=main
	@$(BIN)/python tools/fast_tests.py $(SINCE)

site: docs-venv ## build the site in all languages into site/; any warning is an error: LANG=zh-TW
	@$(BIN)/python -m mkdocs build --config-file $(CONFIG)

offline: docs-venv ## build and zip the site so that it can be read from a disk without a server: dist/d2lblocks-offline.zip
	@$(BIN)/python tools/offline_site.py

zensical: zensical-venv ## build the same site with Zensical, the successor of MkDocs, into dist/zensical/
	@.venv-zensical/bin/python -m tools.zensical_site

messages: docs-venv ## bring the catalogs of the translations in step with the pages
	@$(BIN)/python -m tools.languages.messages

update: test-venv ## rewrite outputs, embedded definitions, notebooks and scripts from real runs
	@$(BIN)/python -m pytest tests/pages/test_docs.py --update-examples

gpu-record: test-venv ## run every snippet on this machine's GPUs and record which passed
	@$(BIN)/python -m pytest tests/pages/test_docs.py --gpu-record

site-record: test-venv ## read every page in a browser, record its size, and take the screenshots of the README
	@$(BIN)/python -m pytest tests/site/test_site.py --site-record

bench: bench-venv ## measure all claims about speed, also for other tools, and write the tables (an hour)
	@for file in $(filter-out %/measure.py,$(wildcard benchmarks/*.py)); do .venv-bench/bin/python $$file --write || exit 1; done

torture: test-venv ## damage files in 20,000 ways, kill 300 writers, count the outcomes, and write the table
	@$(BIN)/python -m tests.package.torture

mutants: test-venv ## change the package in 100 random ways and check whether its tests notice: N=200 SEED=1 TOPICS="init lazy"
	@$(BIN)/python -m tools.mutants.command $(or $(N),100) $(or $(SEED),0) $(TOPICS)

real-nets: real-nets-venv ## try the package on nets of other libraries (an hour), and write the table: N=20 LIBRARIES="timm monai"
	@.venv-real-nets/bin/python -m tools.real_nets.command --write $(if $(N),-n $(N)) $(if $(LIBRARIES),--libraries $(LIBRARIES))

corpus: real-nets-venv ## diagnose nets of other libraries (an hour), and write the tables: N=20 LIBRARIES="timm monai"
	@.venv-real-nets/bin/python -m tools.corpus.command --write $(if $(N),-n $(N)) $(if $(LIBRARIES),--libraries $(LIBRARIES))

clean: ## remove everything that was installed or built
	rm -rf .venv .venv-bench .venv-real-nets .venv-zensical site dist tests/node_modules .cache .hypothesis .*_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

docs-venv test-venv bench-venv zensical-venv real-nets-venv: %-venv:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name yours, as in \`PYTHON=python3.12 make test\`." >&2; exit 1; }
	@$(PYTHON) tools/environment.py $*
