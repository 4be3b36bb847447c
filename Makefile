# SPDX-License-Identifier: Apache-2.0
# Every target is a thin call; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

NETWORK  ?= auto
TASK     ?= price
VEHICLES ?= 20
ROUNDS   ?= 10
SPLIT    ?= iid
DATA     ?=
PRIVACY  ?= secure
export NETWORK

SEV := node application/bin/sev.js
RUN := $(SEV) round run --task $(TASK) --vehicles $(VEHICLES) --rounds $(ROUNDS) --split $(SPLIT) --privacy $(PRIVACY)

.PHONY: help install build demo rounds network-up network-down network-status network-clean network-doctor \
        test test-full test-fabric lint format bench experiments-privacy audit clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  rounds takes TASK=$(TASK) DATA=<csv, default generated> VEHICLES=$(VEHICLES) ROUNDS=$(ROUNDS) SPLIT=$(SPLIT)'
	@echo '         and PRIVACY=secure|dp|plain, who may see an update; both demo and rounds take it (now $(PRIVACY))'
	@echo '  network-up takes NETWORK=auto|fabric|embedded'

# The lock file npm leaves in node_modules is newer than ours once the install is done.
node_modules/.package-lock.json: package-lock.json package.json $(wildcard */package.json)
	npm ci --no-fund --no-audit
	@touch $@

install: node_modules/.package-lock.json ## install the dependencies (npm ci)

build: install ## compile everything
	@test -e application/dist/.tsbuildinfo || echo 'compiling, about half a minute the first time'
	@npx tsc -b

demo: network-up ## the main job: 20 vehicles, 10 rounds of task price, audit, table and plot
	@$(RUN)

rounds: build ## rounds on your data: TASK= DATA= VEHICLES= ROUNDS= SPLIT= PRIVACY=
	@$(RUN) $(if $(DATA),--data "$(DATA)")

network-up: build ## start the network and the consortium on it
	@$(SEV) network up

network-down: build ## stop the network; its ledger stays
	@$(SEV) network down

network-status: build ## say what runs
	@$(SEV) network status

network-doctor: build ## look for the usual causes of trouble
	@$(SEV) network doctor

network-clean: build ## stop the network and remove its ledger and crypto material together
	@$(SEV) network clean

audit: build ## re-check everything from the blocks and the store
	@$(SEV) audit verify

test: build ## the default test suite
	@npm test --silent

test-full: build ## every test, exhaustive and randomised ones in full
	@SEV_TEST_FULL=1 npm test --silent

test-fabric: build ## the tests on real Fabric; they say so and skip where its programs are missing
	@$(SEV) network programs >/dev/null && npm run test:fabric --silent

lint: build ## typed lint and format check
	@npx eslint . --max-warnings 0
	@npx prettier --check --log-level warn .

format: install ## format every file
	@npx prettier --write --log-level warn .

bench: build ## measure every figure beside its target, write runs/bench.json; BENCH=names for some only
	@node experiments/dist/bench.js $(BENCH)

experiments-privacy: build ## attacks on privacy and the price of noise, write runs/privacy.json; PART=names for some only
	@node experiments/dist/privacy.js $(PART)

clean: ## remove what was compiled
	rm -rf */dist
